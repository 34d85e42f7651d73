// A child process of `bench.ts` that runs test files of its working directory in one Vitest, whose global set-up runs once.
// `bench.ts` sends a `Request` and waits for the `Answer`.
import { join } from 'node:path'
import { createVitest, type Reporter, type TestCase, type Vitest } from 'vitest/node'

export interface Request {
  test: string
  /** Source files that changed since the previous run. */
  changed: string[]
  /** Whether to stop at the first failure. */
  bail: boolean
}

export interface Answer {
  passed: number
  /** The first failure. */
  failure?: { name: string; message: string }
}

const root = process.cwd()
let answer: Answer = { passed: 0 }
let bail = false

const reporter: Reporter = {
  onTestCaseResult(test: TestCase) {
    const { state, errors } = test.result()
    if (state === 'passed') answer.passed += 1
    if (state === 'failed') fail(test.fullName, errors?.[0]?.message ?? '')
  },
  onTestModuleEnd(module) {
    // A hook failed, or the file cannot be loaded.
    if (!module.ok()) fail(module.relativeModuleId, module.errors()[0]?.message ?? 'a hook failed')
  },
}

function fail(name: string, message: string): void {
  answer.failure ??= { name, message: message.split('\n')[0]! }
  // This is not awaited, because it resolves after the run.
  if (bail) void vitest.cancelCurrentRun('test-failure')
}

const vitest: Vitest = await createVitest(
  'test',
  {
    root,
    watch: false,
    isolate: true,
    cache: false,
    silent: true,
    maxWorkers: 1,
    reporters: [reporter],
    update: 'none',
  },
  { cacheDir: join(root, '.vite') },
)

async function run(request: Request): Promise<Answer> {
  answer = { passed: 0 }
  bail = request.bail
  for (const file of request.changed) vitest.invalidateFile(join(root, file))
  const path = join(root, request.test)
  const specifications = (await vitest.globTestSpecifications([request.test])).filter(
    ({ moduleId }) => moduleId === path,
  )
  // A rerun makes the global set-up build the bundle again.
  const { unhandledErrors } = await vitest.rerunTestSpecifications(specifications)
  if (unhandledErrors.length > 0) fail('outside of a test', String(unhandledErrors[0]))
  return answer
}

process.on('message', (request: Request) => {
  void run(request)
    .catch((error: unknown): Answer => ({ passed: 0, failure: { name: 'Vitest', message: String(error) } }))
    .then(send)
})
process.on('disconnect', () => process.exit())

function send(done: Answer): void {
  process.send!(done)
}
