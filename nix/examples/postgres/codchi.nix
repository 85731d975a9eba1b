# A database for development that belongs to you: `psql` just connects.
{ pkgs, ... }:
{
  services.postgresql = {
    enable = true;
    package = pkgs.postgresql_16;
    # The machine's user and a database of the same name, reached over the local socket without a password.
    ensureDatabases = [ "codchi" ];
    ensureUsers = [
      {
        name = "codchi";
        ensureDBOwnership = true;
      }
    ];
  };

  # Many libraries read this one.
  environment.variables.DATABASE_URL = "postgresql:///codchi?host=/run/postgresql";

  # The first data, once: a rebuild keeps what you did to it since.
  codchi.initScript = ''
    until psql -c 'select 1' >/dev/null 2>&1; do sleep 1; done
    psql <<'SQL'
      create table if not exists greeting (language text primary key, words text not null);
      insert into greeting values ('en', 'Hello, world!') on conflict do nothing;
    SQL
  '';
}
