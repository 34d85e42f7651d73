// A log for benchmarks that follows all rules: 100 people, 1,000 models in 10 namespaces, and their versions and aliases.
import { createHash } from 'node:crypto'
import type { Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { makeEvent } from '../support/audit.ts'

type Init = NonNullable<Parameters<typeof makeEvent>[1]>

const PEOPLE = 100
const MODELS = 1_000
/** The alias of every fifth model moves to its newest version. */
const MOVED = MODELS / 5
const FIRST_VERSION = 2 * PEOPLE + MODELS + 1

/** Returns the event of the metadata service with this sequence, of about 1 KiB. */
export function eventAt(sequence: number): Event {
  return makeEvent(sequence, sequence < FIRST_VERSION ? setUp(sequence) : work(sequence - FIRST_VERSION, sequence))
}

function setUp(sequence: number): Init {
  if (sequence > 2 * PEOPLE) {
    const model = sequence - 2 * PEOPLE - 1
    const resource = { type: 'model', id: `model-${model}`, namespace: namespaceOf(model), name: nameOf(model) }
    return { type: 'model.created.v1', actor: personOf(sequence), resource, details: NOTE }
  }
  const person = Math.floor((sequence - 1) / 2)
  const principal = `person-${person}`
  const actor = { principal: 'service:metadata', method: 'service' }
  const resource = { type: 'principal', id: `token-${person}`, name: principal }
  return sequence % 2 === 1
    ? { type: 'token.created.v1', actor, resource, details: { principal, expire_time: '2099-01-01T00:00:00Z' } }
    : { type: 'role.granted.v1', actor, resource, details: { principal, namespace: '*', role: 'ADMIN' } }
}

/** In each round every model gets a version, and then the alias of every fifth model moves to it. */
function work(at: number, sequence: number): Init {
  const number = Math.floor(at / (MODELS + MOVED)) + 1
  const step = at % (MODELS + MOVED)
  const model = step < MODELS ? step : (step - MODELS) * 5
  const [namespace, name, actor] = [namespaceOf(model), nameOf(model), personOf(sequence)]
  const digest = digestOf(model, number)
  if (step < MODELS) {
    const resource = { type: 'version', id: `version-${model}-${number}`, namespace, name: `${name}:${number}`, digest }
    return { type: 'version.created.v1', actor, resource, details: NOTE }
  }
  const resource = { type: 'alias', id: `alias-${model}`, namespace, name: `${name}@live`, digest }
  const details = { ...NOTE, from: number - 1, to: number, model_id: `model-${model}` }
  const beforeDigest = number === 1 ? '' : digestOf(model, number - 1)
  return { type: 'alias.moved.v1', actor, resource, details, beforeDigest, afterDigest: digest }
}

const NOTE = { note: 'x'.repeat(400) }

function personOf(sequence: number) {
  const person = sequence % PEOPLE
  return { principal: `person-${person}`, method: 'token', credentialId: `token-${person}` }
}

function namespaceOf(model: number): string {
  return `team-${model % 10}`
}

function nameOf(model: number): string {
  return `${namespaceOf(model)}/model-${model}`
}

function digestOf(model: number, number: number): string {
  return `sha256:${createHash('sha256').update(`${model}:${number}`).digest('hex')}`
}
