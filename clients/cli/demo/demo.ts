// `npm run demo`: stores, promotes and pulls three real versions of the Silero VAD model, with the commands of a user.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startDemoServer, type DemoServer } from './demo-server.ts'
import { silence, speechProbability, voice } from './speech.ts'

const REPOSITORY = join(import.meta.dirname, '..', '..', '..')
const COMMAND = join(import.meta.dirname, '..', 'modelkeep.ts')
const MODELS = join('node_modules', '@ricky0123', 'vad-web', 'dist')
const LOG_TIMEOUT_MS = 10_000
const SECONDS_OF_SOUND = 3

let server: DemoServer

function announce(text: string): void {
  console.log(`\n\u25b8 ${text}`)
}

/** Runs one command, prints it and its output, and returns the output. */
async function modelkeep(...args: string[]): Promise<string> {
  console.log(`$ npx modelkeep ${args.map(quote).join(' ')}`)
  const { code, out } = await run(args, true)
  if (code !== 0) throw new Error(`modelkeep ${args[0]} ended with ${code}`)
  return out
}

async function run(args: string[], isShown: boolean): Promise<{ code: number | null; out: string }> {
  const stdio = ['ignore', 'pipe', isShown ? 'inherit' : 'ignore'] as ['ignore', 'pipe', 'inherit']
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd: REPOSITORY, env: server.environment, stdio })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    if (isShown) process.stdout.write(text)
  })
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  return { code, out }
}

async function readJson<T>(...args: string[]): Promise<T> {
  const { code, out } = await run([...args, '--json'], false)
  if (code !== 0) throw new Error(`modelkeep ${args.join(' ')} ended with ${code}`)
  return JSON.parse(out) as T
}

function quote(text: string): string {
  return /^[\w./:@=,-]+$/.test(text) ? text : `"${text}"`
}

function expect(what: string, text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`expected ${what}, got:\n${text}`)
}

/** Returns a name that no earlier demo used on this server. */
async function freeName(): Promise<string> {
  const { code } = await run(['show', 'silero-vad'], false)
  return code === 3 ? 'silero-vad' : `silero-vad-${Date.now()}`
}

async function push(model: string): Promise<void> {
  const file = (name: string): string => join(MODELS, `silero_vad_${name}.onnx`)
  const common = ['--param', 'sample_rate=16000', '--license', 'MIT']
  const source = (tag: string): string[] => ['--source', `https://github.com/snakers4/silero-vad@${tag}`]
  announce('Store three real versions of a voice detector, with their source and lineage.')
  console.log('  (The models and their results are real; metrics, dataset and lineage are invented for the demo.)')
  const first = ['--metric', 'f1=0.93,dataset=calls,split=test', '--dataset', 'name=calls,digest=sha256:5f1d,role=test']
  expect('version 1', await modelkeep('push', file('legacy'), model, ...source('v4.0'), ...common, ...first), /:1\n/)
  const second = ['--metric', 'f1=0.95,dataset=calls,split=test', '--parent', `distilled=${model}:1`]
  expect('version 2', await modelkeep('push', file('v5'), model, ...source('v5.1.2'), ...common, ...second), /:2\n/)
  const third = ['--metric', 'f1=0.96,dataset=calls,split=test', '--parent', `fine-tuned=${model}:2`]
  expect('version 3', await modelkeep('push', file('v6'), model, ...source('v6.0'), ...common, ...third), /:3\n/)
  announce('Push the same bytes again: nothing is uploaded or registered twice.')
  const again = await modelkeep('push', file('v5'), model, ...source('v5.1.2'), ...common, ...second)
  expect('nothing sent', again, /already registered as .*:2\n[^]*sent +0 B/)
  await modelkeep('list', model, '--filter', 'metrics.f1 > 0.94', '--order-by', 'metrics.f1 desc')
  await modelkeep('show', `${model}:2`)
}

async function promote(model: string): Promise<void> {
  const production = `${model}@production`
  announce('Promote: move an alias by compare-and-set, with a reason.')
  await modelkeep('alias', 'set', production, '1', '--reason', 'first release')
  await modelkeep('alias', 'set', production, '2', '--reason', 'better on noisy calls')
  await modelkeep('alias', 'set', production, '3', '--reason', 'newest')
  expect('version 3', await modelkeep('resolve', production), /:3 sha256:/)
  announce('Which version was in production at an earlier time?')
  const { moves } = await readJson<{ moves: { toNumber: number; moveTime: string }[] }>('alias', 'history', production)
  const then = moves.find(({ toNumber }) => toNumber === 2)!.moveTime
  expect('version 2', await modelkeep('resolve', production, '--at', then), /:2 sha256:/)
  announce('Version 3 disappoints: roll back.')
  const back = await modelkeep('alias', 'rollback', production, '--reason', 'misses quiet speakers')
  expect('version 2', back, /version 2 \(was version 3\)/)
  await modelkeep('alias', 'history', production)
}

async function pullAndUse(model: string, directory: string): Promise<void> {
  const out = join(directory, 'production')
  announce('Pull the production version, verify it, and use it.')
  expect('verified bytes', await modelkeep('pull', `${model}@production`, out), /verified/)
  const file = join(out, 'silero_vad_v5.onnx')
  if (!existsSync(file)) throw new Error(`${file} not found`)
  const [quiet, loud] = [silence(SECONDS_OF_SOUND), voice(SECONDS_OF_SOUND)]
  const [inSilence, inVoice] = [await speechProbability(file, quiet), await speechProbability(file, loud)]
  console.log(`\nA real inference on the pulled ${relative(directory, file)}:`)
  console.log(`  ${SECONDS_OF_SOUND} s of silence          speech probability ${inSilence.toFixed(3)}`)
  console.log(`  ${SECONDS_OF_SOUND} s of synthetic voice  speech probability ${inVoice.toFixed(3)}`)
  if (!(inSilence < 0.1 && inVoice > 0.5)) throw new Error('pulled model does not distinguish a voice from silence')
}

async function showLog(model: string): Promise<void> {
  announce('Show who did what, when and why.')
  // Events reach the log with a short delay.
  for (const end = Date.now() + LOG_TIMEOUT_MS; Date.now() < end; await sleep(100)) {
    const { entries } = await readJson<{ entries: unknown[] }>('log', `${model}@production`)
    if (entries.length === 4) break
  }
  const log = await modelkeep('log', model)
  expect('the roll-back', log, /alias moved 3 → 2 .*misses quiet speakers/)
}

// Ctrl-C ends the running command, so that the demo fails and cleans up.
process.on('SIGINT', () => {})
const directory = await mkdtemp(join(tmpdir(), 'modelkeep-demo-'))
try {
  server = await startDemoServer(directory)
  console.log(server.intro)
  await demonstrate().finally(server.stop)
  announce('All steps succeeded.')
} catch (error) {
  console.error(`\nThe demo failed: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function demonstrate(): Promise<void> {
  const model = await freeName()
  await push(model)
  await promote(model)
  await pullAndUse(model, directory)
  await showLog(model)
}
