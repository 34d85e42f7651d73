// README, CONTRIBUTING and docs/ name files and link to each other. All of these must exist.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const PAGES = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md')]
const FILES = globSync('{services,clients,proto,test,deploy,docs}/**/*.*')

test.each(PAGES)('%s links to pages and headings that exist', (page) => {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)]
  const broken = links.filter(([, path = '', heading]) => {
    const target = path === '' ? page : join(dirname(page), path)
    return !existsSync(target) || (heading !== undefined && !headingsOf(target).includes(heading))
  })
  expect(broken.map(([link]) => link)).toEqual([])
})

test.each(PAGES)('%s names files that exist', (page) => {
  expect(findGone(readFileSync(page, 'utf8'))).toEqual([])
})

test('a short path is below the service that its list began with', () => {
  const list = '**A move** `services/metadata/rpc/alias/set-aliases.ts`, `services/artifact/service.ts`, '
  expect(findGone(`${list}\n\`changes/checks.ts\``)).toEqual([])
  expect(findGone(`${list}\n\`changes/commit-blob.ts\``)).toEqual(['changes/commit-blob.ts'])
  expect(findGone(`${list}\n**A blob** \`services/artifact/deps.ts\`, \`changes/commit-blob.ts\``)).toEqual([])
  expect(findGone(`${list}\n## Rules\n\`changes/checks.ts\``)).toEqual(['changes/checks.ts'])
})

test('a file without a path is in the folder of the file before it', () => {
  const list = '`services/audit/store/log/append.ts`'
  expect(findGone(`${list}, \`openings.ts\`, \`log-head.ts\``)).toEqual([])
  expect(findGone(`${list}, \`domain/leaf.ts\`, \`openings.ts\``)).toEqual(['openings.ts'])
})

test('the front page has at most 2,000 words', () => {
  expect(readFileSync('README.md', 'utf8').split(/\s+/).length).toBeLessThanOrEqual(2000)
})

/** A file, or a folder of services, in a text. */
const NAMES = /`([\w./-]+(?:\.(?:ts|proto|py|yaml|mjs)|\/))`/g
const SERVICE = /^services\/(?:metadata|artifact|audit)\//

/** The names of files in the text that are not files. A list begins with a heading or a bold word, and its first service is
 * the base of its short paths; a list without one has the base of the list before it, up to the next heading. */
function findGone(text: string): string[] {
  const gone: string[] = []
  let base = ''
  let isBased = false
  let folder = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) base = ''
    if (/^(?:#|\*\*)/.test(line)) isBased = false
    for (const [, name] of line.matchAll(NAMES)) {
      const service = SERVICE.exec(name!)?.[0]
      if (service !== undefined && !isBased) base = service
      isBased ||= service !== undefined
      if (name!.endsWith('/')) continue
      const file = findFile(name!, base, folder)
      if (file === undefined) gone.push(name!)
      else folder = dirname(file)
    }
  }
  return gone
}

function findFile(name: string, base: string, folder: string): string | undefined {
  if (!name.includes('/') && base === '') return FILES.find((file) => file.endsWith(`/${name}`))
  const places = name.includes('/') ? ['', 'services/', base] : [`${folder}/`]
  return places.map((place) => place + name).find((path) => FILES.includes(path))
}

/** The anchors that GitHub generates from the headings of a page. */
function headingsOf(page: string): string[] {
  const headings = [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
}
