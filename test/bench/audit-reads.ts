// Reads of a log: pages, filters, and the entries of a reader of few namespaces.
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import type { RunningAudit } from '../support/audit.ts'
import { median, type Figures } from './figures.ts'

type Ask = Parameters<RunningAudit['log']['listEntries']>[0]

export async function measureReads(figures: Figures, audit: RunningAudit, size: number): Promise<void> {
  const asks: [string, Ask][] = [
    ['first page of 50', {}],
    [`page ${Math.floor(size / 100)}`, { pageToken: await walk(audit, Math.floor(size / 100)) }],
    ['one namespace', { filter: 'namespace = team-3' }],
    ['one resource', { filter: 'resource.name = "team-7/model-7:7"' }],
    [
      'one model by prefix',
      { filter: 'resource.name >= "team-7/model-7:" AND resource.name < "team-7/model-7;" AND namespace = team-7' },
    ],
    ['one actor', { filter: 'actor = person-42' }],
    ['one type', { filter: 'type = alias.moved.v1' }],
    ['a type that never was', { filter: 'type = nothing.v1' }],
    ['part of a name, rare', { filter: 'resource.name:"model-77:"' }],
  ]
  audit.known.set('mk_some', { principal: 'some', roles: { 'team-1': 1, 'team-2': 1, 'team-none': 1 } })
  const some = audit.client(LogService, 'mk_some')
  const measured: [string, Ask, typeof some][] = [
    ...asks.map(([name, ask]): [string, Ask, typeof some] => [name, ask, audit.log]),
    ['all that a reader of three namespaces sees', {}, some],
    ['the same, one actor', { filter: 'actor = person-42' }, some],
    ['the same, the oldest first', { orderBy: 'index' }, some],
  ]
  for (const [name, request, log] of measured) {
    const times: number[] = []
    for (let round = 0; round < 20; round += 1) {
      const began = performance.now()
      await log.listEntries(request)
      times.push(performance.now() - began)
    }
    figures.report(`${size} entries, ${name}`, median(times), 'ms')
  }
}

/** Returns the token of page `page`. */
async function walk({ log }: RunningAudit, page: number): Promise<string> {
  let pageToken = ''
  for (let at = 1; at < page; at += 1) pageToken = (await log.listEntries({ pageToken })).nextPageToken
  return pageToken
}
