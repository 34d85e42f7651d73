import { describe, expect, test } from 'vitest'
import { Batcher } from '../../services/lib/process/batcher.ts'

/** A batcher whose goes end one by one, when they are let. */
function gated(isOfOne = (_error: unknown) => true) {
  const goes: { jobs: string[]; end: (error?: Error) => void }[] = []
  const work = (jobs: string[]) =>
    new Promise<string[]>((resolve, reject) => {
      goes.push({ jobs, end: (error) => (error ? reject(error) : resolve(jobs.map((job) => `${job} done`))) })
    })
  return { batcher: new Batcher({ work, most: 3, isOfOne }), goes }
}

describe('a batcher', () => {
  test('does at once what comes alone, and together what comes meanwhile, in order and bounded', async () => {
    const { batcher, goes } = gated()
    const results = ['a', 'b', 'c', 'd', 'e'].map((job) => batcher.do(job))
    expect(goes.map(({ jobs }) => jobs)).toEqual([['a']])
    goes[0]!.end()
    expect(await results[0]).toBe('a done')
    await expect.poll(() => goes.length).toBe(2)
    expect(goes[1]!.jobs).toEqual(['b', 'c', 'd'])
    goes[1]!.end()
    await expect.poll(() => goes.length).toBe(3)
    goes[2]!.end()
    expect(await Promise.all(results)).toEqual(['a done', 'b done', 'c done', 'd done', 'e done'])
    const later = batcher.do('f')
    await expect.poll(() => goes.length).toBe(4)
    goes[3]!.end()
    expect(await later).toBe('f done')
  })

  test('tries each alone where one may have spoiled it for all', async () => {
    const { batcher, goes } = gated()
    const results = ['a', 'b', 'c'].map((job) => batcher.do(job))
    goes[0]!.end()
    await expect.poll(() => goes.length).toBe(2)
    goes[1]!.end(new Error('one of these'))
    await expect.poll(() => goes.length).toBe(3)
    expect(goes[2]!.jobs).toEqual(['b'])
    const refused = expect(results[1]).rejects.toThrow('this one')
    goes[2]!.end(new Error('this one'))
    await expect.poll(() => goes.length).toBe(4)
    goes[3]!.end()
    await refused
    expect(await results[2]).toBe('c done')
  })

  test('does nothing twice where it is not known what was done', async () => {
    const { batcher, goes } = gated(() => false)
    const results = ['a', 'b', 'c'].map((job) => batcher.do(job))
    const refused = [1, 2].map((index) => expect(results[index]).rejects.toThrow('lost'))
    goes[0]!.end()
    await expect.poll(() => goes.length).toBe(2)
    goes[1]!.end(new Error('lost'))
    await Promise.all(refused)
    expect(goes).toHaveLength(2)
  })

  test('waits for enough, which may become less, but not for long', async () => {
    let enough = 2
    const goes: string[][] = []
    const work = async (jobs: string[]) => {
      goes.push(jobs)
      return jobs
    }
    const options = { work, most: 3, isOfOne: () => false, enough: () => enough }
    const patient = new Batcher({ ...options, gatherMs: 100_000 })
    const results = [patient.do('a')]
    expect(goes).toEqual([])
    results.push(patient.do('b'))
    expect(await Promise.all(results)).toEqual(['a', 'b'])
    const later = patient.do('c')
    enough = 1
    patient.look()
    await later
    enough = 2
    await new Batcher({ ...options, gatherMs: 1 }).do('d')
    expect(goes).toEqual([['a', 'b'], ['c'], ['d']])
  })
})
