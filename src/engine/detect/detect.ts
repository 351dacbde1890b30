import type { BaseImages } from '../../config.js'
import { detectGo } from './go.js'
import { detectNode } from './node.js'
import { detectPython } from './python.js'
import type { Detector, Problem, Recipe, Tree } from './recipe.js'
import { detectRust } from './rust.js'
import { detectStatic } from './static.js'

/** A site comes last: many programs have an index.html beside them. */
const DETECTORS: readonly Detector[] = [detectNode, detectPython, detectGo, detectRust, detectStatic]

/** What is looked for, in the words of a message. */
export const LOOKED_FOR =
  'package.json (Node.js), requirements.txt, pyproject.toml, manage.py, main.py or app.py (Python), go.mod (Go), Cargo.toml (Rust), index.html in the root, public/ or dist/ (a static site)'

/** How a folder without a Dockerfile can be built; null when nothing in it is known. A pure function. */
export function detect(tree: Tree, images: BaseImages): Recipe | Problem | null {
  let problem: Problem | null = null
  for (const detector of DETECTORS) {
    const found = detector(tree, images)
    if (found && 'dockerfile' in found) return found
    problem ??= found
  }
  return problem
}
