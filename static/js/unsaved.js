// Whoever leaves a page on which a form was changed and not sent is asked whether they mean it.

const isAsItWas = (field) => {
  if (field.type === "radio" || field.type === "checkbox") return field.checked === field.defaultChecked;
  if (field.options) return [...field.options].every((one) => one.selected === one.defaultSelected);
  return field.value === field.defaultValue;
};

// `changed`: whether the form holds what is not saved; a link with `data-discard` gives it up.
export function guard(form, changed = () => ![...form.elements].every(isAsItWas)) {
  let done = false;
  form.addEventListener("submit", () => { done = true; });
  document.addEventListener("click", (event) => { done ||= event.target.closest("[data-discard]") !== null; });
  addEventListener("pageshow", () => { done = false; });
  addEventListener("beforeunload", (event) => {
    if (!done && changed()) event.preventDefault();
  });
}
