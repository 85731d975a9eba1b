#!/bin/bash
# Pid 1 of the lab daemon's namespaces. Needs DAEMON (the program), RUN (scratch folder), LOG (the daemon's log), SHIM
# (library to preload, or nothing) and OWNERS (host user ids that instances may map one to one) in its environment. Ends when the
# daemon ends, and with it, being pid 1, everything the daemon ever started.

# The network namespace is a new one, and only a sysfs mounted from inside shows its interfaces; the cgroups that are
# mounted below the old one move over to the new.
mkdir -p "$RUN/cgroup" || exit 1
mount --rbind /sys/fs/cgroup "$RUN/cgroup" || exit 1
mount -t sysfs sysfs /sys || exit 1
mount --rbind "$RUN/cgroup" /sys/fs/cgroup || exit 1
umount -R -l "$RUN/cgroup" || exit 1

# Ranges of user ids that the daemon may hand to instances: one wide range, and each owner by itself for `raw.idmap`. The
# files of the host stay as they are: this mount namespace alone sees the copies.
for file in subuid subgid; do
  [ -e "/etc/$file" ] || : >"/etc/$file" || exit 1
  grep -v '^root:[0-9]*:1$' "/etc/$file" >"$RUN/$file"
  for owner in $OWNERS; do echo "root:$owner:1" >>"$RUN/$file"; done
  grep -q '^root:[0-9]*:[0-9]\{5,\}$' "$RUN/$file" || echo root:100000:10000001 >>"$RUN/$file"
  mount --bind "$RUN/$file" "/etc/$file" || exit 1
done

ulimit -n 65536 2>/dev/null
trap 'kill -TERM $daemon' TERM
# One that was killed is started again, as a service manager does; its instances have run on meanwhile.
status=137
while [ "$status" = 137 ]; do
  LD_PRELOAD=$SHIM "$DAEMON" --group root --logfile "$LOG" &
  daemon=$!
  # `wait` also returns when a trap ran, and this shell reaps orphans meanwhile: so until the daemon itself is gone.
  while kill -0 $daemon 2>/dev/null; do
    wait $daemon
    status=$?
  done
done
