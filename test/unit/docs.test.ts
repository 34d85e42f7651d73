// README, CONTRIBUTING and docs/ name files and link to each other. All of these must exist.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const PAGES = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md')]
/** The folders whose files the pages name by a short path. */
const ROOTS = ['', 'services/', 'services/metadata/', 'services/artifact/', 'services/audit/']
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
  const names = [...readFileSync(page, 'utf8').matchAll(/`([\w./-]+\.(?:ts|proto|py|yaml|mjs))`/g)]
  const gone = names.map(([, name]) => name!).filter((name) => !isFile(name))
  expect(gone).toEqual([])
})

test('the front page has at most 2,000 words', () => {
  expect(readFileSync('README.md', 'utf8').split(/\s+/).length).toBeLessThanOrEqual(2000)
})

/** Whether `name` is the full or the short path of a file. */
function isFile(name: string): boolean {
  if (!name.includes('/')) return FILES.some((file) => file.endsWith(`/${name}`))
  return ROOTS.some((root) => FILES.includes(root + name))
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
