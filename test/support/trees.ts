import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { deflateSync } from 'node:zlib'
import type { TestRepository } from './repository.js'

/** An entry of a tree that git itself would not make: its name goes in as it is. */
export interface BadEntry {
  readonly mode: '100644' | '100755' | '120000' | '40000' | '160000'
  readonly name: string
  /** Of an object that is there. */
  readonly id: string
}

/** Puts an object into a repository, whatever it says, without a process; gives its id. */
function writeObject(repository: TestRepository, type: 'blob' | 'tree' | 'commit', content: Buffer): string {
  const object = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
  const id = createHash('sha1').update(object).digest('hex')
  const path = join(repository.folder, '.git/objects', id.slice(0, 2), id.slice(2))
  mkdirSync(dirname(path), { recursive: true })
  if (!existsSync(path)) writeFileSync(path, deflateSync(object))
  return id
}

export function blob(repository: TestRepository, content: Buffer | string): string {
  return writeObject(repository, 'blob', Buffer.from(content))
}

export function tree(repository: TestRepository, entries: readonly BadEntry[]): string {
  const parts = entries.flatMap(({ mode, name, id }) => [
    Buffer.from(`${mode} ${name}\0`),
    Buffer.from(id, 'hex'),
  ])
  return writeObject(repository, 'tree', Buffer.concat(parts))
}

/** Commits a tree to a branch of its own; gives the commit's id. */
export function commitTree(repository: TestRepository, branch: string, treeId: string): string {
  const who = 'Test <test@longshore.invalid> 1700000000 +0000'
  const text = `tree ${treeId}\nauthor ${who}\ncommitter ${who}\n\n${branch}\n`
  const commit = writeObject(repository, 'commit', Buffer.from(text))
  writeFileSync(join(repository.folder, '.git/refs/heads', branch), `${commit}\n`)
  return commit
}

/** What a folder of these files has, as entries to which others can be added. */
export function entriesOf(repository: TestRepository, files: Readonly<Record<string, string>>): BadEntry[] {
  const folders = new Map<string, Record<string, string>>()
  const entries: BadEntry[] = []
  for (const [path, text] of Object.entries(files)) {
    const [name = '', ...rest] = path.split('/')
    if (rest.length === 0) entries.push({ mode: '100644', name, id: blob(repository, text) })
    else folders.set(name, { ...folders.get(name), [rest.join('/')]: text })
  }
  for (const [name, inner] of folders) {
    entries.push({ mode: '40000', name, id: tree(repository, entriesOf(repository, inner)) })
  }
  return entries
}
