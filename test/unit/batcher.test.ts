import { describe, expect, test } from 'vitest'
import { Batcher } from '../../services/lib/process/batcher.ts'
import { SERVICE_WORK } from '../../services/lib/process/fair-queue.ts'
import { currentPrincipal, runFor } from '../../services/lib/process/principal.ts'

/** A batcher whose batches end one by one, when the test ends them. */
function controlled(isJobError = (_error: unknown) => true) {
  const batches: { jobs: string[]; end: (error?: Error) => void }[] = []
  const work = (jobs: string[]) =>
    new Promise<string[]>((resolve, reject) => {
      batches.push({ jobs, end: (error) => (error ? reject(error) : resolve(jobs.map((job) => `${job} done`))) })
    })
  return { batcher: new Batcher({ work, maxJobs: 3, isJobError }), batches }
}

describe('a batcher', () => {
  test('runs a lone job at once, and batches those that arrive meanwhile, in order and up to the maximum', async () => {
    const { batcher, batches } = controlled()
    const results = ['a', 'b', 'c', 'd', 'e'].map((job) => batcher.submit(job))
    expect(batches.map(({ jobs }) => jobs)).toEqual([['a']])
    batches[0]!.end()
    expect(await results[0]).toBe('a done')
    await expect.poll(() => batches.length).toBe(2)
    expect(batches[1]!.jobs).toEqual(['b', 'c', 'd'])
    batches[1]!.end()
    await expect.poll(() => batches.length).toBe(3)
    batches[2]!.end()
    expect(await Promise.all(results)).toEqual(['a done', 'b done', 'c done', 'd done', 'e done'])
    const later = batcher.submit('f')
    await expect.poll(() => batches.length).toBe(4)
    batches[3]!.end()
    expect(await later).toBe('f done')
  })

  test('lets holders take turns when more jobs wait than a batch has', async () => {
    const batches: string[][] = []
    const work = async (jobs: string[]) => (batches.push(jobs), jobs)
    const batcher = new Batcher({ work, maxJobs: 3, isJobError: () => false, holderOf: (job) => job[0]! })
    await Promise.all(['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'c1', 'b2'].map((job) => batcher.submit(job)))
    expect(batches).toEqual([['a1'], ['a2', 'b1', 'c1'], ['a3', 'b2', 'a4'], ['a5']])
  })

  test('retries each job alone when one may have failed the batch', async () => {
    const { batcher, batches } = controlled()
    const results = ['a', 'b', 'c'].map((job) => batcher.submit(job))
    batches[0]!.end()
    await expect.poll(() => batches.length).toBe(2)
    batches[1]!.end(new Error('one of these'))
    await expect.poll(() => batches.length).toBe(3)
    expect(batches[2]!.jobs).toEqual(['b'])
    const refused = expect(results[1]).rejects.toThrow('this one')
    batches[2]!.end(new Error('this one'))
    await expect.poll(() => batches.length).toBe(4)
    batches[3]!.end()
    await refused
    expect(await results[2]).toBe('c done')
  })

  test('retries nothing when the batch itself failed', async () => {
    const { batcher, batches } = controlled(() => false)
    const results = ['a', 'b', 'c'].map((job) => batcher.submit(job))
    const refused = [1, 2].map((index) => expect(results[index]).rejects.toThrow('lost'))
    batches[0]!.end()
    await expect.poll(() => batches.length).toBe(2)
    batches[1]!.end(new Error('lost'))
    await Promise.all(refused)
    expect(batches).toHaveLength(2)
  })

  test('waits for the minimum number of jobs, which may fall, but not longer than gatherMs', async () => {
    let minimum = 2
    const batches: string[][] = []
    const work = async (jobs: string[]) => {
      batches.push(jobs)
      return jobs
    }
    const options = { work, maxJobs: 3, isJobError: () => false, minJobs: () => minimum }
    const batcher = new Batcher({ ...options, gatherMs: 100_000 })
    const results = [batcher.submit('a')]
    expect(batches).toEqual([])
    results.push(batcher.submit('b'))
    expect(await Promise.all(results)).toEqual(['a', 'b'])
    const later = batcher.submit('c')
    minimum = 1
    batcher.recheck()
    await later
    minimum = 2
    await new Batcher({ ...options, gatherMs: 1 }).submit('d')
    expect(batches).toEqual([['a', 'b'], ['c'], ['d']])
  })

  test('runs its batches for the service, not for the principal who came first', async () => {
    const work = (jobs: string[]) => Promise.resolve(jobs.map(() => currentPrincipal()))
    const batcher = new Batcher({ work, maxJobs: 3, isJobError: () => false })
    const results = ['alice', 'bob'].map((principal) => runFor(principal, () => batcher.submit(principal)))
    expect(await Promise.all(results)).toEqual([SERVICE_WORK, SERVICE_WORK])
  })
})
