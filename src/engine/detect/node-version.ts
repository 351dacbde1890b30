import type { Package } from './package-json.js'
import type { Problem, Tree } from './detected-build.js'
import { type ChosenVersion, chooseVersion, managedVersions, type VersionRules } from './tool-versions.js'

/** Lines with support for long, by their names, and the newest two. */
const NAMES = new Map<string, string>([
  ...([
    ['argon', '4'],
    ['boron', '6'],
    ['carbon', '8'],
    ['dubnium', '10'],
    ['erbium', '12'],
  ] as const),
  ...([
    ['fermium', '14'],
    ['gallium', '16'],
    ['hydrogen', '18'],
    ['iron', '20'],
    ['jod', '22'],
  ] as const),
  ...([
    ['krypton', '24'],
    ['*', '24'],
    ['-1', '22'],
    ['-2', '20'],
  ] as const),
])

const RULES: VersionRules = {
  language: 'Node.js',
  // Those that get corrections for long, then what is older, then what is not for production.
  known: ['24', '22', '20', '18', '16', '14', '12', '26', '25', '23', '21', '19', '17'],
  bounds: ['4', '34'],
  parts: 1,
  aliases: (text) => {
    const name = /^lts(?:\/([\w*-]+))?$/.exec(text)
    if (name) return NAMES.get((name[1] ?? '*').toLowerCase()) ?? null
    return /^(?:node|stable|latest|current)$/.test(text) ? '24' : null
  },
  where: '.nvmrc or "engines" of package.json',
}

/** Images of Node.js that may be taken where nobody asks for one. */
export const NODE_DEFAULTS = RULES.known.slice(0, 3)

export function nodeVersion(
  tree: Tree,
  { volta, engine }: Package,
  isLocal: (version: string) => boolean,
): ChosenVersion | Problem {
  const sources = [
    ...['.nvmrc', '.node-version'].map((file) => ({ file, text: tree.texts.get(file) })),
    ...managedVersions(tree, ['node', 'nodejs']),
    { file: '"volta" of package.json', text: volta },
    { file: '"engines" of package.json', text: engine },
  ]
  return chooseVersion(sources, RULES, isLocal)
}
