#!/usr/bin/env node
// The `modelkeep` command.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Node's default place is a directory in /tmp, where anybody on the machine could leave compiled code for us.
enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'modelkeep'))
const { runCommand } = await import('./program.ts')
process.exitCode = await runCommand(process.argv)
