// Makes `npx modelkeep` work in the clone: a link in node_modules/.bin, as npm makes for the commands of dependencies.
// A `bin` in our own package.json would make npx install the clone into its cache first, with the network.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const bin = join(import.meta.dirname, '..', '..', 'node_modules', '.bin')
mkdirSync(bin, { recursive: true })
const link = join(bin, 'modelkeep')
rmSync(link, { force: true })
if (process.platform === 'win32') {
  writeFileSync(`${link}.cmd`, '@node "%~dp0\\..\\..\\clients\\cli\\modelkeep.ts" %*\r\n')
} else {
  symlinkSync(join('..', '..', 'clients', 'cli', 'modelkeep.ts'), link)
}
