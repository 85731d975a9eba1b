#!/bin/sh
# What of WSL's own program a distribution may call: wslpath between drives and their paths, wslinfo --networking-mode.
case ${0##*/} in
  wslpath)
    to=u
    for argument; do
      case $argument in
        -u | -w | -m) to=${argument#-} ;;
        -*) ;;
        *) path=$argument ;;
      esac
    done
    case $to$path in
      u[A-Za-z]:*)
        letter=$(printf %.1s "$path" | tr A-Z a-z)
        printf '%s\n' "/mnt/$letter$(printf %s "${path#?:}" | tr '\\' /)"
        ;;
      u*) printf '%s\n' "$path" ;;
      [wm]/mnt/[a-z] | [wm]/mnt/[a-z]/*)
        rest=${path#/mnt/?}
        letter=$(printf %s "${path#/mnt/}" | cut -c1 | tr a-z A-Z)
        if [ $to = m ]; then printf '%s\n' "$letter:$rest"; else printf '%s\n' "$letter:$(printf %s "$rest" | tr / '\\')"; fi
        ;;
      *) echo "wslpath: $path: Invalid argument" >&2 && exit 1 ;;
    esac
    ;;
  wslinfo)
    case $1 in
      --networking-mode) echo nat ;;
      *) exit 1 ;;
    esac
    ;;
  *) exit 1 ;;
esac
