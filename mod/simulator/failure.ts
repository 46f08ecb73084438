/**
 * The Status object with which the API server refuses a request.
 *
 * @param fields what it finds invalid of the object
 */
export function failure(
  code: number,
  reason: string,
  message: string,
  fields: readonly string[] = [],
): Response {
  const details = fields.length > 0 && {
    details: { causes: fields.map((field) => ({ reason: "FieldValueInvalid", field })) },
  };
  return Response.json(
    { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message, ...details },
    { status: code },
  );
}
