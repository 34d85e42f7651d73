// Converts an entry to a CloudEvent (cloudevents.io, 1.0, JSON). The result is a view of the entry: proofs concern the leaf.
import { restoreValue } from './event.ts'
import { fieldsOf, textOf } from './values.ts'

type Json = Record<string, unknown>

const METHODS: Record<string, string> = { token: 'api_key', service: 'service_account', none: 'unauthenticated' }

/** Uses the extensions that CloudEvents documents: `sequence`, `recordedtime`, `authtype`, `authid` and others. `data` is the
 * whole event, including the private values that were not erased. */
export function toCloudEvent(index: number, leaf: Buffer, values: { field: string; value: string }[]): Json {
  const { recordTime, ...rest } = fieldsOf(JSON.parse(leaf.toString()))
  const event: Json = { ...fieldsOf(rest['event']) }
  for (const { field, value } of values) {
    if (field === 'reason') event['reason'] = JSON.parse(value)
    else restoreValue(event, field, Buffer.from(value))
  }
  const [actor, resource] = [fieldsOf(event['actor']), fieldsOf(event['resource'])]
  return {
    specversion: '1.0',
    id: event['id'],
    source: `/modelkeep/${textOf(event['producer'])}`,
    type: `modelkeep.${textOf(event['type'])}`,
    ...(resource['name'] ? { subject: resource['name'] } : {}),
    time: event['occurTime'],
    datacontenttype: 'application/json',
    // Consumers compare sequences as text, so all have the same length.
    sequence: textOf(event['sequence']).padStart(19, '0'),
    recordedtime: recordTime,
    logindex: String(index),
    authtype: METHODS[textOf(actor['method'])] ?? 'unknown',
    ...(actor['principal'] ? { authid: actor['principal'] } : {}),
    ...(event['requestId'] ? { correlationid: event['requestId'] } : {}),
    data: event,
  }
}
