#!/bin/sh
# metadata | artifact | audit — serve; migrate SERVICE — bring its schema up to date; admin-token — make one.
set -eu
case "${1:-}" in
  metadata | artifact | audit) exec node services/main.ts "$1" ;;
  migrate) shift && exec node services/migrate.ts "$@" ;;
  admin-token) exec node services/metadata/admin-token.ts ;;
  *) echo "usage: metadata | artifact | audit | migrate SERVICE | admin-token" >&2 && exit 2 ;;
esac
