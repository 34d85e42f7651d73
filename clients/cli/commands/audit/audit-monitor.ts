// audit monitor: follows the log of a server, or of any server that speaks tlog-tiles.
import { watchLog, type WatchOptions } from '../../../verifier/monitor/watch-log.ts'
import type { Context } from '../../context.ts'
import { environment, findToken, parseAddress } from '../../settings.ts'
import { tell } from './audit-verify.ts'

export async function monitor(context: Context, address: string, options: WatchOptions): Promise<void> {
  const where = parseAddress(address, 'the address')
  const token = findToken(options, environment(), where)
  const warn = (text: string): void => void process.stderr.write(`modelkeep: ${text}\n`)
  const report = (found: Parameters<typeof tell>[1]): void => tell(context, found)
  await watchLog(where, { ...options, token }, report, warn, context.signal)
}
