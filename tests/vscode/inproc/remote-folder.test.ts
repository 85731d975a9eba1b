// Paths of a window in a machine and of the host.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { RemoteFolder } from "../../../vscode-extension/src/remote-folder";

describe("remote folder", () => {
  const authority = "ssh-remote+codchi-alpha";
  const folder = new RemoteFolder(authority, "/home/me/work/alpha", "/home/codchi/alpha");
  const inWindow = (path: string) => vscode.Uri.from({ scheme: "vscode-remote", authority, path });

  it("turns a file of the project into the host's and back", () => {
    for (const name of ["", "/codchi.nix", "/a b/ü#1.nix", "/..name"]) {
      const remote = inWindow(`/home/codchi/alpha${name}`);
      const host = vscode.Uri.file(`/home/me/work/alpha${name}`);
      assert.equal(folder.toHost(remote).toString(), host.toString());
      assert.equal(folder.toWindow(host).toString(), remote.toString());
    }
  });

  it("leaves what is outside of the project as it is", () => {
    for (const uri of [inWindow("/etc/nixos/a.nix"), inWindow("/home/codchi/alpha2/a.nix"), vscode.Uri.parse("untitled:a")]) {
      assert.equal(folder.toHost(uri).toString(), uri.toString());
    }
    const other = vscode.Uri.file("/home/me/work/alphabet.nix");
    assert.equal(folder.toWindow(other).toString(), other.toString());
  });
});
