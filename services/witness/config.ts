import type { KeyObject } from 'node:crypto'
import { isAbsolute } from 'node:path'
import { EnvReader, type Environment } from '#lib/process/env.ts'
import { findVerifier, isKeyName, type Verifier } from '#lib/tlog/note.ts'
import { readProcessSettings, readText, type ProcessSettings } from '#lib/process/settings.ts'
import { readSigningKey } from '#lib/process/signing-key.ts'

export interface WitnessSettings extends ProcessSettings {
  /** The name of the witness in its key and cosignatures. */
  name: string
  key: KeyObject
  /** Keys of the known logs, by origin. */
  logs: Map<string, Verifier[]>
  /** The directory that stores what was cosigned. */
  directory: string
}

const DEFAULT_PORT = 7704

export function readWitnessSettings(environment: Environment): WitnessSettings {
  const env = new EnvReader(environment)
  const listening = readProcessSettings(env, DEFAULT_PORT)
  const name = env.string('WITNESS_NAME')
  if (name !== '' && !isKeyName(name)) {
    env.problem('WITNESS_NAME must be a name without spaces or +, for example example.com/witness')
  }
  const hasKey = env.string('WITNESS_KEY', '') !== '' || env.string('WITNESS_KEY_FILE', '') !== ''
  if (!hasKey) env.problem('WITNESS_KEY is missing')
  const key = readSigningKey(env, 'WITNESS_KEY')
  const logs = readLogs(env)
  const directory = env.string('WITNESS_DIRECTORY')
  if (directory !== '' && !isAbsolute(directory)) env.problem('WITNESS_DIRECTORY must be an absolute path')
  env.check()
  return { ...listening, name, key: key!, logs, directory }
}

/** Reads public keys separated by white space; several have the same name during a change of keys. */
function readLogs(env: EnvReader): Map<string, Verifier[]> {
  const logs = new Map<string, Verifier[]>()
  for (const vkey of env.secret('WITNESS_LOGS', readText).split(/\s+/).filter(Boolean)) {
    const log = findVerifier(vkey)
    if (log) logs.set(log.name, [...(logs.get(log.name) ?? []), log])
    else env.problem(`WITNESS_LOGS must be public keys of logs of the form name+12345678+AZ…=, not "${vkey}"`)
  }
  return logs
}
