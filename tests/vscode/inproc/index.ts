// What the extension host runs: all tests of this folder, one line each, and the sum.

export async function run(): Promise<void> {
  const { default: Mocha } = (await import(process.env["CODCHI_TEST_MOCHA"] ?? "mocha")) as { default: typeof import("mocha") };
  const mocha = new Mocha({ ui: "bdd", timeout: 20_000, reporter: class {} as never });
  mocha.suite.emit("pre-require", globalThis as never, "", mocha);
  await import("./server.test");
  await import("./view.test");
  await import("./generations.test");
  await import("./copies.test");
  await import("./open.test");
  await import("./remote-folder.test");
  await import("./run.test");
  await import("./made-of.test");
  await import("./input.test");
  await import("./evaluation.test");
  let passed = 0;
  let failed = 0;
  await new Promise<void>((done) => {
    const runner = mocha.run(() => {
      done();
    });
    runner.on("pass", (test) => {
      passed++;
      console.log(`ok   ${test.title} (${test.duration} ms)`);
    });
    runner.on("fail", (test, error: Error) => {
      failed++;
      console.log(`FAIL ${test.fullTitle()}\n     ${String(error.stack ?? error).split("\n").slice(0, 8).join("\n     ")}`);
    });
  });
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || passed === 0) {
    throw new Error(`${failed} tests failed`);
  }
}
