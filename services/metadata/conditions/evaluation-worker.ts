// The entry point of the thread that evaluates conditions. The author of a condition chooses its cost, so conditions never run
// on the event loop of the service.
import { celEnv } from '@bufbuild/cel'
import { parentPort, workerData } from 'node:worker_threads'
import { evaluate, type Outcome, type VariableValues } from '../domain/governance/condition.ts'
import { createMemoryBudget } from './memory-budget.ts'

export interface WorkerSettings {
  maxBytes: number
}

export interface EvaluationRequest {
  expressions: string[]
  variables: VariableValues
}

/** The outcome of the next expression; `ready` when the thread accepts another request. */
export type EvaluationReply = Outcome | 'ready'

const port = parentPort!
const reply = (message: EvaluationReply): void => port.postMessage(message, [])
const budget = createMemoryBudget((workerData as WorkerSettings).maxBytes)
const environment = celEnv({ funcs: budget.functions })

port.on('message', ({ expressions, variables }: EvaluationRequest) => {
  budget.reset()
  for (const expression of expressions) reply(evaluate(expression, variables, environment))
  reply('ready')
})
reply('ready')
