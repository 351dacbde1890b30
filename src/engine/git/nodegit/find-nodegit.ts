import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where it may be: what `npm run setup:nodegit` makes, which no `npm ci` takes away, and beside the other packages. */
const FOLDERS = ['nodegit/node_modules/nodegit', 'node_modules/nodegit']
const BINARY = 'build/Release/nodegit.node'

/** The folder of the package nodegit. Null: it is not built here. */
export function findNodegit(): string | null {
  const folders = FOLDERS.map((folder) => join(projectFolder(), folder))
  return folders.find((folder) => existsSync(join(folder, BINARY))) ?? null
}

/** What is above dist/. */
export function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}
