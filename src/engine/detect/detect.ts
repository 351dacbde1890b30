import { elsewhere, unusedNotes } from './elsewhere.js'
import { detectGo } from './go.js'
import { detectNode } from './node.js'
import { declaresStart } from './node-start.js'
import { isDevelopment } from './node-development.js'
import { otherLanguage } from './other-languages.js'
import { type Package, readPackage } from './package-json.js'
import { detectPython } from './python.js'
import {
  type Detector,
  present,
  type Images,
  type Problem,
  type DetectedBuild,
  type Tree,
} from './detected-build.js'
import { detectRust } from './rust.js'
import { detectStatic } from './static.js'

/** A site comes last: many programs have an index.html beside them. */
const DETECTORS: readonly Detector[] = [
  detectNode,
  detectPython,
  detectGo,
  detectRust,
  detectOther,
  detectStatic,
]

/** Programs beside which a package.json may stand for their pages alone. */
const PROGRAMS: readonly Detector[] = [detectPython, detectGo, detectRust]
const MANIFESTS = [
  ...['requirements.txt', 'pyproject.toml', 'uv.lock', 'poetry.lock', 'Pipfile', 'manage.py', 'setup.py'],
  ...['go.mod', 'go.work', 'Cargo.toml'],
]

/** What is looked for, in the words of a message. */
export const LOOKED_FOR =
  'package.json (Node.js), requirements.txt, pyproject.toml, manage.py, main.py or app.py (Python), go.mod (Go), Cargo.toml (Rust), index.html in the root, public/ or dist/ (a static site)'

/** How a folder without a Dockerfile can be built; null when nothing in it is known. A pure function. */
export function detect(tree: Tree, images: Images): DetectedBuild | Problem | null {
  const found = detectIn(tree, images)
  if (found && 'dockerfile' in found) return { ...found, notes: [...found.notes, ...unusedNotes(tree)] }
  const hint = elsewhere(tree)
  if (hint === '') return found
  return {
    problem: found ? `${found.problem}. Besides, ${hint}` : `nothing in its folder is known, but ${hint}`,
  }
}

function detectIn(tree: Tree, images: Images): DetectedBuild | Problem | null {
  let problem: Problem | null = null
  let ofProgram: Problem | null = null
  for (const detector of inOrder(tree)) {
    const found = detector(tree, images)
    // The files of a program that cannot be started are not for everybody, whatever page lies beside them.
    if (found && 'dockerfile' in found) return (detector === detectStatic && ofProgram) || found
    if (detector === detectOther && found) return problem ?? found
    problem ??= found
    if (PROGRAMS.includes(detector)) ofProgram ??= found
  }
  return problem
}

/** A package.json that starts nothing compiles a style sheet or a script: what has a manifest beside it is the program. */
function inOrder(tree: Tree): readonly Detector[] {
  const found = readPackage(tree.texts.get('package.json') ?? '')
  const isAside = !found || !servesItself(tree, found)
  const before = isAside && present(tree, MANIFESTS).length > 0 ? PROGRAMS : []
  const others = isAside ? [detectOther] : []
  return [...new Set([...before, ...others, ...DETECTORS])]
}

/** A server for development is none: other languages' frameworks have one for their scripts. */
function servesItself(tree: Tree, found: Package): boolean {
  if (!declaresStart(tree, found)) return false
  const { scripts } = found
  const isProduction = (name: string) => !isDevelopment(scripts.get(name) ?? 'vite', scripts)
  return !scripts.has('start') || ['start:prod', 'start'].some(isProduction)
}

/** Before a site and what packages make for it: the source of a program is not for everybody. */
function detectOther(tree: Tree): Problem | null {
  if (present(tree, MANIFESTS).length > 0) return null
  // A site that has its tools from Ruby is told what it is.
  if (tree.paths.has('_config.yml')) return null
  return otherLanguage(tree, tree.texts.has('package.json'))
}
