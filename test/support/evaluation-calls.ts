// Shared calls of the tests of evaluations.
import type { MessageInitShape } from '@bufbuild/protobuf'
import { Verdict, type Evaluation, type EvaluationFactsSchema } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { numbered, selected, type Clients } from './metadata.ts'

export type Facts = MessageInitShape<typeof EvaluationFactsSchema>

export const PASSED = { suite: 'smoke', verdict: Verdict.PASSED } satisfies Facts

/** Functions that add an evaluation to a version of a model, and list those of its first version. */
export function evaluationCalls({ evaluations }: Clients) {
  return {
    add: async (model: string, facts: Facts = PASSED, number = 1): Promise<Evaluation> => {
      const { evaluation } = await evaluations.createEvaluation({ version: numbered(model, number), facts })
      return evaluation!
    },
    list: (model: string, question: { suite?: string; pageSize?: number; pageToken?: string } = {}) =>
      evaluations.listEvaluations({ version: selected(model, { case: 'number', value: 1 }), ...question }),
  }
}
