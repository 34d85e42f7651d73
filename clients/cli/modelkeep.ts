#!/usr/bin/env node
// The `modelkeep` command.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Node's default directory is in /tmp, where other users of the machine could plant compiled code.
enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'modelkeep'))
const { runCommand } = await import('./program.ts')
process.exitCode = await runCommand(process.argv)
