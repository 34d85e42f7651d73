// Checks of the keys in a page token before they reach SQL. A caller can forge a token with any keys.
import { failField } from '#lib/errors/errors.ts'
import { isUuid } from '#lib/values/ids.ts'
import type { Page, PageKey } from '#lib/lists/pages.ts'

type Check = (key: PageKey) => boolean

export function checkKeys(page: Page, checks: Check[]): Page {
  const isValid = page.after?.every((key, index) => checks[index]!(key)) ?? true
  if (!isValid) failField('page_token', 'is invalid')
  return page
}

export const isIdKey: Check = (key) => isUuid(String(key))
export const isTextKey: Check = (key) => typeof key === 'string' && key.isWellFormed() && !key.includes('\0')
export const isNumberKey: Check = (key) => Number.isSafeInteger(key) && Math.abs(Number(key)) < 2 ** 31
export const isFiniteKey: Check = (key) => Number.isFinite(key)

/** Accepts PostgreSQL's text of a time in UTC. */
export const isTimeKey: Check = (key) => {
  const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?\+00$/.exec(String(key)) ?? []
  const milliseconds = Date.parse(`${day}T${time}Z`)
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(`${day}T${time}`)
}
