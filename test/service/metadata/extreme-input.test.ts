// Extreme input that is valid: the longest texts, names with a meaning elsewhere, hostile texts.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { byName, makeModel, newDigest, pointTo, selected, startMetadata } from '../../support/metadata.ts'

const metadata = await startMetadata()
const { admin } = metadata

const long = (length: number) => 'x'.repeat(length)
const manifestDigest = newDigest()
const target = pointTo('a', 1)
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']))

test('accepts values at every limit', async () => {
  const description = '€'.repeat(21_845)
  const labels = { ...many(63), [long(63)]: long(255) }
  const name = `a${long(127)}`
  await admin.namespaces.createNamespace({ name: long(63), description })
  const request = { namespace: long(63), name, description, owner: '🦊'.repeat(255), labels, requestId: randomUUID() }
  expect((await admin.models.createModel(request)).model).toMatchObject({ owner: request.owner, labels })
  const { version: created } = await admin.versions.createVersion({
    model: byName(name, long(63)),
    manifestDigest,
    semver: `1.0.0-${long(249)}`,
    description,
    modelCard: description,
    labels,
  })
  expect(created).toMatchObject({ description, modelCard: description, labels })
  const targets = Array.from({ length: 100 }, (_, index) => ({ ...target, name: `${index}${long(125)}` }))
  const set = { model: byName(name, long(63)), targets, reason: long(2048) }
  expect((await admin.aliases.setAliases(set)).aliases).toHaveLength(100)
})

test('accepts names that are reserved in other systems', async () => {
  for (const name of ['constructor', 'toString', 'null', 'CON', '0', 'a--b', 'DROP TABLE']) {
    await makeModel(admin, name, 1)
    const set = { model: byName(name), targets: [{ ...target, name: 'constructor' }] }
    expect((await admin.aliases.setAliases(set)).aliases[0]!.name).toBe('constructor')
    const { version: resolved } = await admin.versions.resolveVersion({
      ref: selected(name, { case: 'alias', value: 'constructor' }),
    })
    expect(resolved!.model).toBe(name)
  }
  const labels = { constructor: '1', toString: '2', hasOwnProperty: '3' }
  expect((await admin.models.createModel({ name: 'labelled', labels })).model!.labels).toEqual(labels)
})

test('returns texts unchanged, also those with a meaning in SQL or JSON', async () => {
  for (const [index, text] of [
    `'; drop table metadata.model; --`,
    `\\' ? ?? $1 :x %s`,
    `E'\\x41' {"a":1}`,
    '\\',
    '🦊ä "',
  ].entries()) {
    const name = `texts-${index}`
    const notes = { description: `${text}\n\t${text}`, labels: { [text]: text } }
    const { model: made } = await admin.models.createModel({ name, owner: text, ...notes })
    expect(made).toMatchObject({ owner: text, ...notes })
    const facts = { metrics: [{ name: text, value: 1, dataset: text, split: text }], license: text }
    const { version: written } = await admin.versions.createVersion({
      model: byName(name),
      manifestDigest: newDigest(),
      facts,
      modelCard: text,
      ...notes,
    })
    expect(written).toMatchObject({ facts, modelCard: text, ...notes })
    const found = {
      model: byName(name),
      filter: `license = ${JSON.stringify(text)} AND labels:${JSON.stringify(text)}`,
    }
    expect((await admin.versions.listVersions(found)).versions).toEqual([written])
    expect(
      (await admin.versions.listVersions({ model: byName(name), orderBy: `metrics.${text}` })).versions,
    ).toHaveLength(text.trim() === text ? 1 : 0)
    const { aliases } = await admin.aliases.setAliases({ model: byName(name), targets: [target], reason: text })
    expect(aliases[0]!.reason).toBe(text)
  }
})

test('logs no internal error', () => {
  expect(metadata.logs.filter((line) => line.includes('"message":"internal error"'))).toEqual([])
})
