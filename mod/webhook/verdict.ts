/** What the webhook says about an object. */
export type Verdict =
  | { readonly is: "allowed"; readonly warnings: readonly string[] }
  | {
    readonly is: "denied";
    /** Forbidden where the policy alone refuses it. */
    readonly reason: "Invalid" | "Forbidden";
    readonly message: string;
  };
