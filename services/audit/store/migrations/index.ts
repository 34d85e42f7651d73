export const MIGRATIONS = []
