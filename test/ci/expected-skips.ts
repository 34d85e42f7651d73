// The tests that a machine may skip: which, where, and why. A skip that is not here, or not on such a machine, fails CI.
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { missingPrograms } from '../support/rgw-server.ts'

export interface Machine {
  isRoot: boolean
  isLinux: boolean
  hasPython: boolean
  hasGo: boolean
  /** Ceph's gateway and what it needs. */
  hasCeph: boolean
  /** Whether the machine may mount a file system. */
  mayMount: boolean
  /** Whether an ordinary user can reach this checkout and its Node. */
  isReachable: boolean
}

export interface ExpectedSkip {
  file: string
  /** Part of the test's name; absent for all tests of the file. */
  test?: string
  reason: string
  isExpected: (machine: Machine) => boolean
}

export const EXPECTED_SKIPS: ExpectedSkip[] = [
  {
    file: 'test/service/artifact/uploads.test.ts',
    test: 'a directory requires parts again whose stored form differs from the record',
    reason: 'a directory stores a part under the name that was recorded',
    isExpected: () => true,
  },
  {
    file: 'test/service/artifact/inline-digest.test.ts',
    test: 'are read back when parts may have been sent directly to the store',
    reason: 'a directory receives no part directly',
    isExpected: () => true,
  },
  ...[
    'test/unit/audit-hostile.test.ts',
    'test/unit/audit-trust.test.ts',
    'test/unit/audit-tamper.test.ts',
    'test/service/audit/command.test.ts',
  ].map((file) => ({
    file,
    test: 'the verifier in Python',
    reason: 'python3 is not installed',
    isExpected: ({ hasPython }: Machine) => !hasPython,
  })),
  {
    file: 'test/service/artifact/byte-stream-crash.test.ts',
    test: 'of a Go client',
    reason: 'Go is not installed',
    isExpected: ({ hasGo }) => !hasGo,
  },
  {
    file: 'test/service/artifact/rgw.test.ts',
    reason: 'Ceph is not installed',
    isExpected: ({ hasCeph }) => !hasCeph,
  },
  {
    file: 'test/service/artifact/stores.test.ts',
    test: 'rejects writes, leaves no partial files',
    reason: 'a small file system can be mounted by an administrator only',
    isExpected: ({ mayMount }) => !mayMount,
  },
  {
    file: 'test/suite/standalone-directory.test.ts',
    test: 'a copied directory does not use the database of the original',
    reason: 'only for root the database lies elsewhere',
    isExpected: ({ isRoot }) => !isRoot,
  },
  {
    file: 'test/suite/standalone-directory.test.ts',
    test: 'works as an ordinary user',
    reason: 'every test runs as one already, or an ordinary user cannot reach this checkout',
    isExpected: ({ isRoot, isReachable }) => !isRoot || !isReachable,
  },
  {
    file: 'test/suite/cli-cache.test.ts',
    test: 'in a directory that other users own',
    reason: 'only root can give a directory to another user',
    isExpected: ({ isRoot }) => !isRoot,
  },
  {
    file: 'test/suite/abuse.test.ts',
    test: 'while all abusers run',
    reason: 'it needs a machine of its own, and ABUSE_MAX_MS',
    isExpected: () => true,
  },
  ...['test/suite/soak.test.ts', 'test/suite/large-file.test.ts', 'test/unit/cli-output.test.ts'].map((file) => ({
    file,
    reason: 'it reads /proc or stops processes as Linux does',
    isExpected: ({ isLinux }: Machine) => !isLinux,
  })),
]

const CAP_SYS_ADMIN = 1n << 21n

export async function describeMachine(): Promise<Machine> {
  const isRoot = process.getuid?.() === 0
  return {
    isRoot,
    isLinux: process.platform === 'linux',
    hasPython: await runs('python3', '--version'),
    hasGo: await runs('go', 'version'),
    hasCeph: (await missingPrograms()).length === 0,
    mayMount: isRoot && (await holdsCapability(CAP_SYS_ADMIN)),
    isReachable: await isOpen(process.execPath, fileURLToPath(import.meta.url)),
  }
}

async function runs(program: string, ...words: string[]): Promise<boolean> {
  return promisify(execFile)(program, words).then(
    () => true,
    () => false,
  )
}

async function holdsCapability(capability: bigint): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const [, held = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? []
  return (BigInt(`0x${held}`) & capability) !== 0n
}

/** Whether everybody may pass the directories above the paths. */
async function isOpen(...paths: string[]): Promise<boolean> {
  for (const path of paths) {
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      if (((await stat(at)).mode & 0o001) === 0 && at !== path) return false
    }
  }
  return true
}
