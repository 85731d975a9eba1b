# sudo, PAM, set-user-id programs, certificates.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  on = default: mkOption { type = types.bool; inherit default; description = "A switch."; };
  inherit (config) security;
  certificates = pkgs.runCommand "ca-certificates.crt"
    { more = lib.concatLines security.pki.certificates; }
    ''{ cat ${pkgs.debian}/etc/ssl/certs/ca-certificates.crt; echo "$more"; } >$out'';
in
{
  options.security = {
    sudo = {
      enable = on true;
      wheelNeedsPassword = on true;
      extraConfig = mkOption { type = types.lines; default = ""; description = "More lines of sudoers."; };
    };
    pam.services = mkOption {
      default = { };
      description = "PAM services; they are Debian's, which start sessions.";
      type = types.attrsOf (types.submodule { options.startSession = on false; });
    };
    wrappers = mkOption {
      default = { };
      description = "Programs that run as another user.";
      type = types.attrsOf (types.submodule {
        options = {
          source = mkOption { type = types.path; description = "The program."; };
          owner = mkOption { type = types.str; default = "root"; description = "Its owner."; };
          group = mkOption { type = types.str; default = "root"; description = "Its group."; };
          setuid = on false;
        };
      });
    };
    pki.certificates = mkOption { type = types.listOf types.str; default = [ ]; description = "More certificate authorities, as PEM."; };
    pki.caBundle = mkOption { type = types.path; readOnly = true; description = "All certificate authorities, in a file."; };
  };

  config = {
    security.pki.caBundle = "${certificates}";
    security.wrappers = lib.genAttrs [ "su" ] (name: { source = "${pkgs.debian}/usr/bin/${name}"; setuid = true; })
      // lib.optionalAttrs security.sudo.enable { sudo = { source = "${pkgs.debian}/usr/bin/sudo"; setuid = true; }; };
    environment.etc = lib.genAttrs
      [ "ssl/certs/ca-certificates.crt" "ssl/certs/ca-bundle.crt" "pki/tls/certs/ca-bundle.crt" ]
      (_: { source = security.pki.caBundle; })
    // {
      sudoers = {
        mode = "0440";
        text = ''
          root ALL=(ALL:ALL) SETENV: ALL
          %wheel ALL=(ALL:ALL) ${lib.optionalString (!security.sudo.wheelNeedsPassword) "NOPASSWD: "}SETENV: ALL
          ${security.sudo.extraConfig}
        '';
      };
    };

    # Store paths have no set-user-id bit and belong to nobody: copies in /run have both.
    system.activationScripts.wrappers = {
      deps = [ "users" ];
      text = ''
        mkdir -p /run/wrappers/bin
        ${lib.concatLines (lib.mapAttrsToList (name: wrapper: ''
          cp -f ${wrapper.source} /run/wrappers/bin/.new
          chown ${wrapper.owner}:${wrapper.group} /run/wrappers/bin/.new
          chmod ${if wrapper.setuid then "4755" else "0755"} /run/wrappers/bin/.new
          mv -f /run/wrappers/bin/.new /run/wrappers/bin/${name}
        '') security.wrappers)}
      '';
    };
  };
}
