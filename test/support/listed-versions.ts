// Five versions with facts of every kind, for tests of lists and filters.
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { ListVersionsRequestSchema } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { jsonValue } from './facts.ts'
import { byName, makeModel, newDigest, pointTo, type Clients } from './metadata.ts'

export type ListRequest = MessageInitShape<typeof ListVersionsRequestSchema>

/** The version numbers of all pages, in order. */
export async function listNumbers({ versions }: Clients, request: ListRequest): Promise<number[]> {
  const numbers: number[] = []
  for (let pageToken = ''; ;) {
    const page = await versions.listVersions({ ...request, pageToken })
    numbers.push(...page.versions.map(({ number }) => number))
    if (page.nextPageToken === '') return numbers
    pageToken = page.nextPageToken
  }
}

const F1 = [0.5, 0.9, undefined, 0.7, 0.9]

/** Creates the model "listed" with five versions; alias production points to the fourth. */
export async function makeListedVersions(admin: Clients): Promise<void> {
  await makeModel(admin, 'listed')
  for (const [index, f1] of F1.entries()) {
    const number = index + 1
    await admin.versions.createVersion({
      model: byName('listed'),
      manifestDigest: newDigest(),
      semver: number === 2 ? '2.0.0' : '',
      labels: number % 2 === 0 ? { parity: 'even', 'app/tier': 'Gold' } : {},
      facts: {
        license: number === 1 ? 'MIT' : 'Apache-2.0',
        source: { repository: `https://git.example/${number}`, commit: `c${number}` },
        parameters: [
          { name: 'depth', value: jsonValue(number * 2) },
          { name: 'kind', value: jsonValue(number < 3 ? 'gbm' : 'net') },
          { name: 'warm', value: jsonValue(number === 1) },
          ...(number === 5 ? [{ name: 'depth.max', value: jsonValue('10') }] : []),
        ],
        metrics:
          f1 === undefined
            ? []
            : [
                { name: 'f1', value: f1, split: 'test' },
                { name: 'f1', value: 1 - f1, split: 'train' },
                { name: 'val loss.1', value: -number },
              ],
        datasets: [
          { name: 'base', digest: 'sha256:0' },
          { name: `set-${number}`, digest: `sha256:${number}` },
        ],
      },
    })
  }
  await admin.aliases.setAliases({ model: byName('listed'), targets: [pointTo('production', 4)] })
}
