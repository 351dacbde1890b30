import { calledLines } from './node-start.js'
import { type Package, uses } from './package-json.js'
import { present, type Tree } from './detected-build.js'

/** Where Prisma looks for its schema, or is told where it is. */
const SCHEMAS = ['prisma/schema.prisma', 'schema.prisma', 'prisma/schema/', 'prisma.config.ts']
const CALLED_BY_INSTALL = ['preinstall', 'install', 'postinstall', 'prepare']

/** Its engine is linked with OpenSSL, which slim images lack, and its package makes a client of the schema when installed. */
export function usesPrisma(found: Package): boolean {
  return uses(found, 'prisma') || uses(found, '@prisma/client')
}

/** Whether the client has to be made by a step: managers may run no scripts of packages, and newer packages have none. */
export function generatesClient(tree: Tree, found: Package): boolean {
  if (!uses(found, 'prisma') || present(tree, SCHEMAS).length === 0) return false
  const before = CALLED_BY_INSTALL.flatMap((name) => found.scripts.get(name) ?? [])
  const lines = ['npm run build', ...before].flatMap((line) => calledLines(line, found))
  return !lines.some((line) => /\bprisma generate\b/.test(line))
}
