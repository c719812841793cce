/** What the build strips from shaders; that they still compile is test/gpu/kernels.test.ts's business. */
import { expect, test } from "vitest";
import { leanWgsl } from "../../vite.plugins.ts";

test.each([
  ["a line comment", "let a = 1; // one\nlet b = 2;", "let a=1;\nlet b=2;\n"],
  ["a comment that ends the source", "a; // b", "a;\n"],
  ["a line that is a comment, indentation and empty lines", "  // b\n\n\n    a;\n", "a;\n"],
  ["a block comment over lines, which separates tokens", "let/* a\n b */c;", "let c;\n"],
  ["block comments that nest", "a /* b /* c */ d */ e", "a   e\n"],
  ["a line comment inside a block comment", "a /* // */ b", "a   b\n"],
  ["a block comment inside a line comment", "a // /*\nb", "a\nb\n"],
  ["a slash and a star in a line comment", "a //*\nb", "a\nb\n"],
  ["an opening that looks like a closing too", "a /*/ b */ c", "a   c\n"],
])("%s goes", (_, source, wanted) => {
  expect(leanWgsl(source)).toBe(wanted);
});

test("spaces between words stay, and the mark of a loop that is written out", () => {
  expect(leanWgsl("  return  a < b; // why\n  } // unroll\n")).toBe("return  a < b;\n}// unroll\n");
});

test("division and multiplication stay", () => {
  expect(leanWgsl("a / b * c / *d;\n")).toBe("a / b * c / *d;\n");
});

test("a block comment that never ends is an error", () => {
  expect(() => leanWgsl("a /* b /* c */")).toThrow("never ends");
});
