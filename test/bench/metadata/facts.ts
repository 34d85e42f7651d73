// The facts of the versions that are created: 20 parameters and 20 metrics.
import { create, toJsonString } from '@bufbuild/protobuf'
import { VersionFactsSchema } from '#gen/modelkeep/metadata/v1/facts_pb.ts'

const NUMBERS = Array.from({ length: 20 }, (_, index) => index)

export const VERSION_FACTS = create(VersionFactsSchema, {
  source: { repository: 'https://git.example/scorer', commit: '0123456789abcdef0123456789abcdef01234567' },
  parameters: NUMBERS.map((index) => ({
    name: `parameter_${index}`,
    value: { kind: { case: 'numberValue' as const, value: index / 7 } },
  })),
  metrics: NUMBERS.map((index) => ({ name: `metric_${index}`, value: index / 13 })),
  license: 'Apache-2.0',
})

/** The facts in JSON, as the service stores them. */
export const FACTS = toJsonString(VersionFactsSchema, VERSION_FACTS)
export const PARAMETERS = JSON.stringify(
  Object.fromEntries(VERSION_FACTS.parameters.map(({ name }, index) => [name, index / 7])),
)
export const METRICS = JSON.stringify(
  VERSION_FACTS.metrics.map(({ name, value }, ordinal) => ({ ordinal, name, value })),
)
