import { failField } from '#lib/errors/errors.ts'
import { parseLine, parseRequiredLine } from './text.ts'

const MAX_METRIC_CHARACTERS = 255
const MAX_ORDER_CHARACTERS = 300

export interface Order<Field extends string> {
  by: Field
  descending: boolean
}

export type VersionOrder = Order<'number' | 'create_time'> | (Order<'metric'> & { metric: string })
export type ModelOrder = Order<'name' | 'create_time' | 'update_time'>

export function parseModelOrder(text: string): ModelOrder {
  const { field, descending } = splitOrder(text)
  if (field === '') return { by: 'name', descending: false }
  if (field !== 'name' && field !== 'create_time' && field !== 'update_time') {
    failField('order_by', 'must be "name", "create_time" or "update_time", optionally followed by "desc"')
  }
  return { by: field, descending }
}

export function parseVersionOrder(text: string, withinModel: boolean): VersionOrder {
  const { field, descending } = splitOrder(text)
  if (field === '') return { by: withinModel ? 'number' : 'create_time', descending: true }
  if (field === 'create_time') return { by: field, descending }
  if (field === 'number') {
    if (!withinModel) failField('order_by', 'must not be "number" without a model')
    return { by: field, descending }
  }
  if (!field.startsWith('metrics.')) {
    failField('order_by', 'must be "number", "create_time" or "metrics.<name>", optionally followed by "desc"')
  }
  const metric = parseRequiredLine(field.slice('metrics.'.length), 'order_by', MAX_METRIC_CHARACTERS)
  return { by: 'metric', metric, descending }
}

function splitOrder(text: string): { field: string; descending: boolean } {
  const field = parseLine(text, 'order_by', MAX_ORDER_CHARACTERS).trim()
  for (const direction of [' desc', ' asc']) {
    if (field.endsWith(direction)) {
      return { field: field.slice(0, -direction.length).trimEnd(), descending: direction === ' desc' }
    }
  }
  return { field, descending: false }
}
