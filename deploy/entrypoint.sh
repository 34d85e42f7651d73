#!/bin/sh
# metadata | artifact | audit | witness — serve; migrate SERVICE — bring its schema up to date; admin-token — make one.
set -eu
case "${1:-}" in
  metadata | artifact | audit | witness) exec node services/main.ts "$1" ;;
  migrate) shift && exec node services/migrate.ts "$@" ;;
  admin-token) exec node services/metadata/admin-token.ts ;;
  *) echo "usage: metadata | artifact | audit | witness | migrate SERVICE | admin-token" >&2 && exit 2 ;;
esac
