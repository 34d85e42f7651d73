#!/usr/bin/env node
// The `modelkeep` command.
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { runCommand } = await import('./program.ts')
process.exitCode = await runCommand(process.argv)
