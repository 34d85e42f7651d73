// audit monitor: follows the log of a server, or of any server that speaks tlog-tiles.
import { watchLog, type WatchOptions } from '../audit/watch-log.ts'
import type { Context } from '../context.ts'
import { environment, parseAddress } from '../settings.ts'
import { tell } from './audit-verify.ts'

export async function monitor(context: Context, address: string, options: WatchOptions): Promise<void> {
  const token = options.token ?? environment()['MODELKEEP_TOKEN']
  const warn = (text: string): void => void process.stderr.write(`modelkeep: ${text}\n`)
  const report = (found: Parameters<typeof tell>[1]): void => tell(context, found)
  await watchLog(parseAddress(address, 'the address'), { ...options, token }, report, warn, context.signal)
}
