# What the machine is given of the host: certificates, the SSH agent and keys, git's identity and credentials. All of it
# comes with a delivery, or is asked of the host at each use; without either the machine is as it is by itself.
{ config, lib, pkgs, ... }:
let
  inherit (config.users.users) codchi;
  inherit (config.security) pki;
  # The certificate authorities of the machine's own system.
  own = pki.caBundle or
    # Before NixOS 25.05.
    "${pkgs.cacert.override {
      blacklist = pki.caCertificateBlacklist;
      extraCertificateFiles = pki.certificateFiles;
      extraCertificateStrings = pki.certificates;
    }}/etc/ssl/certs/ca-bundle.crt";
  # With the host's, where the machine has those: a file that follows them without a rebuild.
  trusted = "/run/codchi-trusted.crt";

  credential = pkgs.writeShellScriptBin "codchi-git-credential" ''
    # codchi-git-credential [--socket SOCKET] get|store|erase: git's credential helper that asks the one of the host.
    socket=/dev/codchi-git
    if [ "''${1-}" = --socket ]; then
      socket=$2
      shift 2
    fi
    case ''${1-} in get|store|erase) ;; *) exit 0 ;; esac
    [ -S "$socket" ] || exit 0
    # No configuration and no proxy of the machine's: the socket is what is asked.
    reply=$(${pkgs.curl}/bin/curl -q --silent --noproxy '*' --max-time 150 --unix-socket "$socket" \
      --header 'Content-Type: text/plain' --data-binary @- --write-out '\n%{http_code}' "http://codchi/$1") || {
      echo "codchi-git-credential: the host does not answer; run 'codchi start ${config.codchi.machine.name}' on it" >&2
      exit 0
    }
    body=''${reply%$'\n'*}
    case ''${reply##*$'\n'} in
      200) printf '%s\n' "$body" ;;
      *) [ -z "$body" ] || printf 'codchi-git-credential: %s\n' "$body" >&2 ;;
    esac
  '';

  links = pkgs.writeShellScript "codchi-ssh-links" ''
    # As the user: links to the host's SSH files where there is none of that name, and none to what is there no more.
    from=/run/codchi/host/ssh
    to=${codchi.home}/.ssh
    if [ -d "$to" ]; then
      for link in "$to"/*; do
        case $(readlink "$link" || true) in
          "$from"/*) [ -e "$link" ] || rm -f "$link" ;;
        esac
      done
    fi
    [ -d "$from" ] || exit 0
    mkdir -p -m 0700 "$to"
    for file in "$from"/*; do
      name=''${file##*/}
      [ -e "$to/$name" ] || [ -L "$to/$name" ] || ln -s "$file" "$to/$name"
    done
  '';
in
{
  codchi.machine.onDelivery = ''
    # Replaced in one step: programs may read it at any time.
    if [ -e /run/codchi/host/ca.pem ]; then
      cat ${own} /run/codchi/host/ca.pem >${trusted}.new
      chmod 0444 ${trusted}.new
    else
      ln -sfn ${own} ${trusted}.new
    fi
    mv -fT ${trusted}.new ${trusted}
    # LXD and Incus leave a socket that nobody listens on any more. On WSL it is elsewhere, and goes by itself.
    [ -e /run/codchi/host/agent ] || rm -f /dev/codchi-agent
    [ -e /run/codchi/host/gitconfig ] || rm -f /dev/codchi-git
    ${pkgs.util-linux}/bin/setpriv --reuid=codchi --regid=${codchi.group} --init-groups ${links} \
      || echo "codchi-receive: the host's SSH files could not be linked into ~/.ssh" >&2
  '';

  # Until the first delivery.
  systemd.tmpfiles.rules = [ "L ${trusted} - - - - ${own}" ];
  environment.etc = lib.genAttrs
    [ "ssl/certs/ca-certificates.crt" "ssl/certs/ca-bundle.crt" "pki/tls/certs/ca-bundle.crt" ]
    (_: { source = lib.mkForce trusted; })
  // {
    # A file that is not there is none for git. First, so that what the machine says itself goes over it.
    gitconfig.text = lib.mkBefore ''
      [include]
      	path = /run/codchi/host/gitconfig
    '';
  };

  environment.systemPackages = [ credential ];
}
