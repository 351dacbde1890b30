import { linesOf, type Tree } from './detected-build.js'

const SETTINGS = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"](\w+(?:\.\w+)*)\.settings\b/

/** The package that manage.py takes its settings from: `mysite`, `config.app`. */
export function djangoPackage(manage: string | undefined): string | null {
  return SETTINGS.exec(manage ?? '')?.[1] ?? null
}

/** Whether a module of settings, `mysite/settings.py` or one of `mysite/settings/`, says where static files are put. */
export function collectsStatic(tree: Tree): boolean {
  const folder = djangoPackage(tree.texts.get('manage.py'))?.replaceAll('.', '/')
  if (folder === undefined) return false
  const texts = [...tree.texts].filter(([path]) => path.startsWith(`${folder}/settings`))
  return texts.some(([, text]) => linesOf(text).some((line) => /^STATIC_ROOT[ \t]*[:=]/.test(line)))
}

/** Settings may need variables that a build does not have: what cannot be collected then is no reason to fail. */
export const COLLECT_STATIC =
  "RUN python manage.py collectstatic --noinput || echo 'static files are not collected: see above'"
