// Checks the rules of the registry before anything is sent or created.
import type { VersionFacts } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { ModelState } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { CliError, failUsage } from '../terminal/cli-error.ts'
import { requireNamespace, type Registry } from '../connection/registry.ts'
import { findModel, findVersion } from './register.ts'

const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/
const MAX_SEMVER_LENGTH = 255
const ALIAS = /^[A-Za-z0-9][\w.-]{0,127}$/
const MAX_NAME = 255
const MAX_TEXT_BYTES = 65_536
const MAX_REASON_BYTES = 2048
const LABEL = { count: 64, key: 63, value: 255 }

export interface Texts {
  semver: string
  description: string
  modelCard: string
  labels: Record<string, string>
}

export function checkTexts({ semver, description, modelCard, labels }: Texts): void {
  if (semver && (semver.length > MAX_SEMVER_LENGTH || !SEMVER.test(semver))) {
    failUsage(`--semver "${semver}" is not a semantic version`, 'Write it like 1.2.0 or 1.2.0-rc.1.')
  }
  checkBytes(description, '--description', MAX_TEXT_BYTES)
  checkBytes(modelCard, '--card', MAX_TEXT_BYTES)
  const entries = Object.entries(labels)
  if (entries.length > LABEL.count) failUsage(`too many labels; at most ${LABEL.count} are allowed`)
  for (const [key, value] of entries) {
    checkLine(key, `name in --label "${key}=${value}"`, LABEL.key)
    checkLine(value, `value in --label "${key}=${value}"`, LABEL.value)
  }
}

export function checkAliases(aliases: string[], reason: string): void {
  for (const alias of aliases) {
    if (alias === 'latest') failUsage('--alias "latest" cannot be set; it always names the highest version number')
    if (!ALIAS.test(alias)) {
      failUsage(
        `--alias "${alias}" is invalid; use 1 to 128 letters, digits, ".", "_" or "-", starting with a letter or digit`,
      )
    }
    if (/^v?\d+$/.test(alias)) failUsage(`--alias "${alias}" looks like a version number; choose a name`)
  }
  checkBytes(reason, '--reason', MAX_REASON_BYTES)
}

export function checkFacts({ parameters, metrics, datasets, dependencies, license }: VersionFacts): void {
  for (const { name } of parameters) checkLine(name, `name in --param "${name}"`, MAX_NAME)
  for (const { name } of metrics) checkLine(name, `name in --metric "${name}"`, MAX_NAME)
  for (const { name } of datasets) checkLine(name, `name in --dataset "${name}"`, MAX_NAME)
  for (const { name } of dependencies) checkLine(name, `name in --dependency "${name}"`, MAX_NAME)
  checkLine(license, '--license', MAX_NAME)
  requireUnique('--param', parameters, ({ name }) => [name])
  requireUnique('--metric', metrics, ({ name, dataset, split }) => [name, dataset, split])
  requireUnique('--dataset', datasets, ({ name, role }) => [name, String(role)])
}

function requireUnique<T extends { name: string }>(option: string, items: T[], keys: (item: T) => string[]): void {
  const seen = new Set<string>()
  for (const item of items) {
    const key = JSON.stringify(keys(item))
    if (seen.has(key)) failUsage(`${option} "${item.name}" is given twice`)
    seen.add(key)
  }
}

function checkLine(text: string, what: string, max: number): void {
  if (Array.from(text).length > max) failUsage(`${what} has more than ${max} characters`)
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) failUsage(`${what} must be one line`)
}

function checkBytes(text: string, what: string, max: number): void {
  if (Buffer.byteLength(text) > max) failUsage(`${what} has more than ${max} bytes`)
}

interface Target {
  namespace: string
  model: string
}

/** Throws CliError unless the model exists and is active, or can be created. */
export async function checkModel(
  registry: Registry,
  { namespace, model }: Target,
  { create }: { create: boolean },
): Promise<void> {
  const name = `${namespace}/${model}`
  const found = await findModel(registry, namespace, model)
  if (!found) await requireNamespace(registry, namespace)
  if (!found && !create) {
    const hint = `Create it with: modelkeep model create ${name}`
    throw new CliError('notFound', `model ${name} not found`, { hint, reason: 'MODEL_NOT_FOUND' })
  }
  if (found?.state === ModelState.ARCHIVED) {
    const hint = `Restore it with: modelkeep model unarchive ${name}`
    throw new CliError('conflict', `model ${name} is archived`, { hint, reason: 'MODEL_ARCHIVED' })
  }
}

/** Throws CliError if another version of the model has the semver. */
export async function checkSemverFree(registry: Registry, { namespace, model }: Target, semver: string): Promise<void> {
  const selector = { case: 'semver' as const, value: semver }
  const taken = await findVersion(registry, { case: 'name', value: { namespace, model, selector } })
  if (!taken) return
  const message = `semver ${semver} is already taken by ${namespace}/${model}:${taken.number}`
  throw new CliError('conflict', message, { hint: 'Choose another semver.', reason: 'SEMVER_EXISTS' })
}
