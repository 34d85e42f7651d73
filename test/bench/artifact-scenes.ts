// Measurements besides throughput: latency, memory, early responses, small files, and a killed process.
import { Code, ConnectError } from '@connectrpc/connect'
import { createHash, randomBytes, randomFillSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openModeSelector } from '../../clients/cli/transfer/settings.ts'
import { openProgress } from '../../clients/cli/terminal/progress.ts'
import { findMissing, sendBlobs } from '../../clients/cli/push/blobs.ts'
import { findFiles, hashFiles, type HashedFile } from '../../clients/cli/push/files.ts'
import { openRegistry } from '../../clients/cli/connection/registry.ts'
import { newObjectKey } from '../../services/artifact/store/byte-store.ts'
import { openOwnedStore } from '../../services/artifact/store/orm.ts'
import { stockClient, stockMetadata, type StockClient } from '../support/raw-grpc.ts'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { connectClient, countParts, inParallel, MIB, PART_BYTES, renew, type Blob } from './artifact-clients.ts'
import { TOKEN, type World } from './artifact-world.ts'
import { startDelayProxy } from './delay-proxy.ts'
import { median, type Figures } from './figures.ts'
import { watchUsage, type Usage } from './processes.ts'

const RTT_MS = 20
const CHUNK_BYTES = MIB - 64
const ZEROS = Buffer.alloc(CHUNK_BYTES)

/** Compares one stream in each direction with 20 ms of latency to one without. */
export async function measureLatency(world: World, figures: Figures, quick: boolean): Promise<void> {
  const service = await world.startService('zero-copy')
  const proxy = await startDelayProxy(service.address, RTT_MS / 2)
  const far = connectClient(proxy.address, true)
  const near = connectClient(service.address, true)
  const bytes = randomFillSync(Buffer.allocUnsafeSlow(256 * MIB))
  const rates: Record<string, number[]> = { 'up, far': [], 'down, far': [], 'up, near': [], 'down, near': [] }
  for (let round = 0; round < (quick ? 2 : 5); round += 1) {
    for (const [name, client] of [
      ['far', far],
      ['near', near],
    ] as const) {
      const blob = renew(bytes)
      rates[`up, ${name}`]!.push(await rateOf(bytes, () => client.uploadInOneStream(blob)))
      rates[`down, ${name}`]!.push(await rateOf(bytes, () => client.download(blob)))
    }
  }
  for (const way of ['up', 'down']) {
    figures.report(`one stream ${way}, no delay`, median(rates[`${way}, near`]!), 'MiB/s')
    figures.report(`one stream ${way}, ${RTT_MS} ms there and back`, median(rates[`${way}, far`]!), 'MiB/s', {
      least: 150,
    })
  }
  far.close()
  near.close()
  proxy.close()
  await service.kill()
}

async function rateOf(bytes: Buffer, work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return bytes.length / MIB / ((performance.now() - began) / 1000)
}

/** Runs 32 uploads at the same time. Each retries while the memory budget is used up. */
export async function measureMemory(world: World, figures: Figures, quick: boolean): Promise<void> {
  const service = await world.startService('zero-copy')
  const size = quick ? 64 * MIB : 1024 * MIB
  const base = randomFillSync(Buffer.allocUnsafeSlow(size))
  const digests = Array.from({ length: 32 }, (_, stamp) => {
    base.writeBigUInt64BE(BigInt(stamp))
    return createHash('sha256').update(base).digest('hex')
  })
  const clients = Array.from({ length: 4 }, () => connectClient(service.address, true))
  const { peakMib } = await watchUsage({ service: service.pid }, () =>
    inParallel(
      32,
      async (number) => {
        const head = Buffer.from(base.subarray(0, CHUNK_BYTES))
        head.writeBigUInt64BE(BigInt(number - 1))
        const blob = { bytes: base, head, digest: `sha256:${digests[number - 1]}` }
        await patiently(() => clients[number % clients.length]!.uploadInOneStream(blob))
      },
      32,
    ),
  )
  figures.report(`memory of the service, 32 uploads of ${size / MIB} MiB at once`, peakMib['service']!, 'MiB', {
    most: 600,
  })
  clients.forEach((client) => client.close())
  await world.clear()
  await service.kill()
}

async function patiently(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (ConnectError.from(error).code !== Code.ResourceExhausted) throw error
    }
  }
}

/** Uploads 10 GB that the store has. They are only rows, because nothing reads them. */
export async function measureEarlyExit(world: World, figures: Figures): Promise<void> {
  const service = await world.startService('zero-copy')
  const digest = `sha256:${randomBytes(32).toString('hex')}`
  const size = 10_000_000_000
  await seedBlob(world, digest, size)
  const stock = stockClient(BlobService, service.address)
  const times: number[] = []
  const sent: number[] = []
  for (let round = 0; round < 12; round += 1) {
    const began = performance.now()
    sent.push((await sendUntilAnswered(stock, { namespace: 'default', digest, sizeBytes: BigInt(size) })) / MIB)
    times.push(performance.now() - began)
  }
  figures.report('10 GB that exist, until the answer, grpc-js', median(times), 'ms', { most: 100 })
  figures.report('10 GB that exist, sent until then, at most', Math.max(...sent), 'MiB', { most: 16 })
  stock.close()
  await service.kill()
}

/** Sends chunks until there is a response. Returns the number of bytes. */
function sendUntilAnswered(stock: StockClient, header: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const state = { sent: 0, isOver: false }
    const onAnswer = (error: Error | null, answer: { existed: boolean }): void => {
      state.isOver = true
      if (error || !answer.existed) reject(error ?? new Error('the blob is not known'))
      else resolve(state.sent)
    }
    const call = stock['UploadBlob']!(stockMetadata(TOKEN), onAnswer) as NodeJS.WritableStream
    call.write({ message: { case: 'header', value: header } } as never)
    const more = (): void => {
      while (!state.isOver) {
        state.sent += CHUNK_BYTES
        if (!call.write({ message: { case: 'chunk', value: ZEROS } } as never)) return void call.once('drain', more)
      }
    }
    more()
  })
}

/** Inserts the blob without its event, which the benchmark does not need. */
async function seedBlob({ databaseUrl }: World, digest: string, size: number): Promise<void> {
  const store = openOwnedStore({ url: databaseUrl })
  await store.em.fork().execute(`do $$ begin
    set local session_replication_role = replica;
    insert into artifact.blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key)
      values ('${digest}', ${size}, ${PART_BYTES}, decode(repeat('00', ${Math.ceil(size / PART_BYTES) * 32}), 'hex'), '${newObjectKey()}');
    insert into artifact.namespace_blob (namespace, digest) values ('default', '${digest}');
  end $$`)
  await store.close(true)
}

/** Measures a push of new files, from the disk until each is committed. */
export async function measureSmall(world: World, figures: Figures, quick: boolean): Promise<void> {
  const service = await world.startService('zero-copy')
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-bench-small-'))
  const addresses = { metadata: service.address, artifact: service.address, audit: service.address }
  const registry = openRegistry({ addresses, token: TOKEN, origin: '' }, new AbortController().signal)
  const push = async (count: number, bytes: number): Promise<Usage> => {
    const files = await makeFiles(directory, count, bytes)
    const pids = { service: service.pid, MinIO: world.minioPid, PostgreSQL: world.postgresPid, client: process.pid }
    return watchUsage(pids, async () => {
      const missing = await findMissing(registry, 'default', files)
      const modes = openModeSelector('auto', {}, service.address)
      const progress = await openProgress('sending', 0, true)
      if ((await sendBlobs(registry, 'default', missing, { modes, progress })) !== count * bytes)
        throw new Error('known')
    })
  }
  await push(quick ? 200 : 500, 1024)
  const count = quick ? 1000 : 4000
  const { seconds, cpu } = await push(count, 64 * 1024)
  const each = Object.entries(cpu).map(([name, spent]) => `${name} ${((spent / count) * 1000).toFixed(2)}`)
  console.log(`a file of 64 KiB, CPU milliseconds: ${each.join(', ')}`)
  figures.report(`files of 64 KiB, end to end, ${count} of them`, count / seconds, '/s', { least: 400 })
  registry.close()
  await rm(directory, { recursive: true })
  await world.clear()
  await service.kill()
}

async function makeFiles(directory: string, count: number, bytes: number): Promise<HashedFile[]> {
  for (let number = 1; number <= count; number += 1) {
    await writeFile(join(directory, `${bytes}-${number}`), randomBytes(bytes))
  }
  const files = (await findFiles(directory)).filter(({ size }) => size === bytes)
  return hashFiles(files, await openProgress('hashing', 0, true), new AbortController().signal)
}

/** Kills the service while four streams send parts, and queries another replica for the parts that have arrived. */
export async function measureCrash(world: World, figures: Figures): Promise<void> {
  const streams = 4
  const first = await world.startService('zero-copy')
  const blob: Blob = renew(randomFillSync(Buffer.allocUnsafeSlow(16 * PART_BYTES)))
  const client = connectClient(first.address, true)
  const upload = await client.startParts(blob)
  const done = new Set<number>()
  const begun = new Set<number>()
  const work = inParallel(
    countParts(blob.bytes),
    async (number) => {
      if (done.size >= 6) void first.kill()
      begun.add(number)
      await client.writePart(upload, blob, number)
      done.add(number)
    },
    streams,
  )
  await work.catch(() => undefined)
  client.close()
  const second = await world.startService('zero-copy')
  const next = connectClient(second.address, true)
  const arrived = await next.partsOf(upload)
  const sentAgain = [...begun].filter((number) => !arrived.includes(number))
  await inParallel(countParts(blob.bytes), async (number) => {
    if (!arrived.includes(number)) await next.writePart(upload, blob, number)
  })
  await next.completeParts(upload)
  figures.report('after kill -9, parts sent again per stream', sentAgain.length / streams, '', { most: 1 })
  next.close()
  await world.clear()
  await second.kill()
}
