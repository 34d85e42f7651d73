// The command push hashes files, uploads missing blobs, registers the version, and moves aliases. It can be repeated
// after any failure.
import { equals } from '@bufbuild/protobuf'
import { readFile } from 'node:fs/promises'
import { VersionFactsSchema, type VersionFacts } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { VersionSchema, type Version } from '#gen/modelkeep/metadata/v1/version_pb.ts'
import { failUsage } from '../../terminal/cli-error.ts'
import type { Context } from '../../context.ts'
import { splitPair } from '../../arguments/facts.ts'
import type { TransferMode } from '../../transfer/modes.ts'
import type { ModeSelector } from '../../transfer/mode-selector.ts'
import { openModeSelector } from '../../transfer/settings.ts'
import { bytes, facts as factLines, jsonOf, versionName } from '../../terminal/output.ts'
import { openProgress } from '../../terminal/progress.ts'
import { findMissing, sendBlobs, type Sent } from '../../push/blobs.ts'
import { checkAliases, checkModel, checkSemverFree, checkTexts } from '../../push/checks.ts'
import { FACT_OPTIONS, readFacts, type FactOptions } from '../../push/facts.ts'
import { findFiles, hashFiles, type HashedFile } from '../../push/files.ts'
import { createManifest, createVersion, findOrCreateModel, requireListable } from '../../push/register.ts'
import { parseRef } from '../../arguments/refs.ts'
import { environment } from '../../settings.ts'
import { moveAlias } from '../alias/alias-move.ts'

interface PushOptions extends FactOptions {
  semver?: string
  description?: string
  card?: string
  label?: string[]
  alias?: string[]
  reason?: string
  create: boolean
  lane: TransferMode
}

export async function push(context: Context, path: string, model: string, options: PushOptions): Promise<void> {
  const target = parseTarget(model, context.namespace)
  const texts = await readTexts(options)
  checkTexts(texts)
  checkAliases(options.alias ?? [], options.reason ?? '')
  const files = await findFiles(path)
  requireListable(target.namespace, files)
  const registry = context.registry()
  const modes = openModeSelector(options.lane, environment(), registry.settings.addresses.artifact)
  const facts = await readFacts(context, path, options)
  await checkModel(registry, target, options)
  const hashed = await hash(context, files)
  const sent = await send(context, modes, { target, files: hashed, semver: texts.semver })
  const digest = await createManifest(registry, target.namespace, hashed)
  const owner = await findOrCreateModel(registry, target.namespace, target.model)
  const { version, created } = await createVersion(registry, owner, { manifestDigest: digest, facts, ...texts })
  const { namespace, model: name } = version
  const hasOptions = FACT_OPTIONS.some((option) => options[option] !== undefined)
  const warnings = created ? [] : differences(version, texts.semver, hasOptions ? facts : undefined)
  const moved = []
  for (const alias of options.alias ?? []) {
    const reason = options.reason ?? `pushed as version ${version.number}`
    const move = moveAlias(context, { namespace, model: name, alias }, version.number, { reason })
    // The version stays registered even if an alias cannot be moved.
    move.catch(() => {
      context.note(`${pushedText(version, created)}, but alias ${alias} was not set`)
      for (const warning of warnings) context.note(warning)
    })
    moved.push(await move)
  }
  report(context, { version, created, sent, warnings, aliases: moved.map(({ name: alias }) => alias) })
}

interface Target {
  namespace: string
  model: string
}

function parseTarget(text: string, defaultNamespace: string): Target {
  const ref = parseRef(text, defaultNamespace)
  if ('id' in ref) failUsage('push needs a model name, not a UUID')
  if (ref.selector) {
    failUsage(
      `"${text}" names a version; push to the model ${ref.model}, the registry assigns the number`,
      'Set an alias with --alias.',
    )
  }
  return ref
}

async function readTexts({ semver, description, card, label }: PushOptions) {
  return {
    semver: semver ?? '',
    description: description ?? '',
    modelCard: card ? await readFile(card, 'utf8') : '',
    labels: Object.fromEntries((label ?? []).map((text) => splitPair(text, '--label'))),
  }
}

async function hash(context: Context, files: Awaited<ReturnType<typeof findFiles>>): Promise<HashedFile[]> {
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const progress = await openProgress('hashing', total, context.output.json)
  try {
    return await hashFiles(files, progress, context.signal)
  } finally {
    progress.close()
  }
}

interface ToSend {
  target: Target
  files: HashedFile[]
  semver: string
}

async function send(context: Context, modes: ModeSelector, { target, files, semver }: ToSend): Promise<Sent> {
  const registry = context.registry()
  const { namespace } = target
  const missing = await findMissing(registry, namespace, files)
  // If all bytes exist, the version with this semver may be the same.
  if (semver && missing.length > 0) await checkSemverFree(registry, target, semver)
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const lacking = missing.reduce((sum, { size }) => sum + size, 0)
  const progress = await openProgress('sending', lacking, context.output.json)
  try {
    const sentBytes = await sendBlobs(registry, namespace, missing, { modes, progress })
    return { sentBytes, existingBytes: total - sentBytes }
  } finally {
    progress.close()
  }
}

function pushedText(version: Version, created: boolean): string {
  return `${created ? 'pushed' : 'already registered as'} ${versionName(version)}`
}

interface Outcome {
  version: Version
  created: boolean
  sent: Sent
  warnings: string[]
  aliases: string[]
}

function report(context: Context, { version, created, sent, warnings, aliases }: Outcome): void {
  const { output } = context
  if (output.json)
    return output.document({ version: jsonOf(VersionSchema, version), created, ...sent, aliases, warnings })
  output.write(pushedText(version, created))
  const { sentBytes, existingBytes } = sent
  output.write(
    factLines([
      ['id', version.id],
      ['digest', version.digest],
      ['files', `${version.fileCount}, ${bytes(version.sizeBytes)}`],
      ['sent', `${bytes(sentBytes)}${existingBytes > 0 ? `, ${bytes(existingBytes)} already stored` : ''}`],
      ['aliases', aliases.join(', ')],
    ]),
  )
  for (const warning of warnings) context.note(warning)
}

/** Returns a warning for each given fact that differs from the registered version. */
function differences(version: Version, semver: string, given: VersionFacts | undefined): string[] {
  const warnings = []
  if (semver && semver !== version.semver) {
    const registered = version.semver ? `the semver ${version.semver}` : 'no semver'
    warnings.push(`These bytes are registered with ${registered}, not ${semver}. A semver never changes.`)
  }
  if (given && !equals(VersionFactsSchema, given, version.facts ?? given)) {
    warnings.push(
      'The given facts differ from the registered ones and were ignored, because facts never change. See: modelkeep show',
    )
  }
  return warnings
}
