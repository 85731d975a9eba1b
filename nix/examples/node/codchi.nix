# Node.js, and the token that `npm install` needs for a company's packages.
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.nodejs
    pkgs.pnpm
  ];

  # You are asked for it when the machine is created; in every shell it is $CODCHI_NPM_TOKEN.
  codchi.secrets.env.NPM_TOKEN = {
    description = "A read-only token for the company's npm registry (Account, Access Tokens, Generate)";
    pattern = "npm_[A-Za-z0-9]{36}";
  };

  # npm reads the token from the environment each time it runs: nothing is written to a file.
  environment.etc.npmrc.text = ''
    //npm.example.org/:_authToken=''${CODCHI_NPM_TOKEN}
    @example:registry=https://npm.example.org/
  '';
  environment.variables.NPM_CONFIG_GLOBALCONFIG = "/etc/npmrc";
}
