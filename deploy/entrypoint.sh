#!/bin/sh
# metadata | artifact | audit | witness: serves. migrate SERVICE: updates its schema. admin-token: creates a new admin token.
set -eu
case "${1:-}" in
  metadata | artifact | audit | witness) exec node services/main.ts "$1" ;;
  migrate) shift && exec node services/migrate.ts "$@" ;;
  admin-token) exec node services/metadata/admin-token.ts ;;
  *) echo "usage: metadata | artifact | audit | witness | migrate SERVICE | admin-token" >&2 && exit 2 ;;
esac
