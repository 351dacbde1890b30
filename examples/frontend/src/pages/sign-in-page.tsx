import { useActionState } from 'react'
import { type FormErrors, messageOf, NO_ERRORS } from '../longshore/form-errors.js'
import { useAccess, useLongshore } from '../longshore/react.js'
import { Field } from '../parts/field.js'
import { Page } from '../parts/page.js'

export function SignInPage() {
  const { signIn } = useLongshore()
  const { reason } = useAccess()
  const [errors, submit, isPending] = useActionState(async (_errors: FormErrors, form: FormData) => {
    try {
      await signIn(String(form.get('token')).trim())
      return NO_ERRORS
    } catch (error) {
      return { fields: { token: messageOf(error) }, form: null }
    }
  }, NO_ERRORS)
  return (
    <div className="sign-in">
      <Page title="Sign in to Longshore">
        {reason !== null && <p>{reason}</p>}
        <form action={submit}>
          <Field
            label="Admin token"
            name="token"
            type="password"
            required
            autoFocus
            errors={errors}
            hint="It is ADMIN_TOKEN, or in DATA_DIR/admin-token. Kept until you close the browser."
          />
          <button type="submit" disabled={isPending}>
            {isPending ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
      </Page>
    </div>
  )
}
