// Links the command into node_modules/.bin, as npm does for dependencies, so that `npx modelkeep` works in the clone. With a
// `bin` in package.json, npx would first install the clone into its cache, over the network.
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
