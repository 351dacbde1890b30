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

/** The server of a Django project: of the package that has the settings, or else of the one that has a wsgi.py. */
export function djangoServer(tree: Tree): string | null {
  const manage = tree.texts.get('manage.py')
  const named = djangoPackage(manage)
  const folders = [...tree.texts.keys()].flatMap((path) => /^(\w+)\/[aw]sgi\.py$/.exec(path)?.[1] ?? [])
  const isMade = (path: string) => /get_[aw]sgi_application/.test(tree.texts.get(path) ?? '')
  const has = (folder: string, file: string) => tree.paths.has(`${folder.replaceAll('.', '/')}/${file}`)
  const found = folders.find((folder) => isMade(`${folder}/wsgi.py`) || isMade(`${folder}/asgi.py`))
  const isElsewhere =
    named === null || (found !== undefined && !has(named, 'wsgi.py') && !has(named, 'asgi.py'))
  const chosen = isElsewhere ? found : named
  if (chosen === undefined || chosen === null) return null
  const isAsync = has(chosen, 'asgi.py') && !has(chosen, 'wsgi.py')
  return isAsync
    ? `uvicorn --host 0.0.0.0 --port $PORT ${chosen}.asgi:application`
    : `gunicorn --bind 0.0.0.0:$PORT ${chosen}.wsgi`
}
