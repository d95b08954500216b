-- SPDX-License-Identifier: GPL-2.0
--  'Access of nested subprograms: to C's qsort, whose function pointers carry no
--  context, and to subprograms of Ada; with recursion, tasks and exceptions through them

with Ada.Text_IO;
with Interfaces.C;
with System;

procedure Sorting is
   use Interfaces.C;

   Failure, Enough : exception;

   --  Ada's own: with -ftrampolines a trampoline too, else a descriptor
   function Apply
     (F     : not null access function (X : Integer) return Integer;
      Value : Integer) return Integer is (F (Value));

   type Numbers is array (Positive range <>) of aliased int;

   --  The order is the caller's.  If Stop is not 0, that call of Compare raises an exception.
   procedure Sort (Items : in out Numbers; Sign : int; Stop : Natural := 0) is
      type Comparison is access function (A, B : System.Address) return int
        with Convention => C;
      procedure Qsort
        (Base : System.Address; Count, Size : size_t; Compare : Comparison)
        with Import, Convention => C, External_Name => "qsort";

      Calls : Natural := 0;

      function Compare (A, B : System.Address) return int with Convention => C;
      function Compare (A, B : System.Address) return int is
         X : int with Import, Address => A;
         Y : int with Import, Address => B;
      begin
         Calls := Calls + 1;
         if Calls = Stop then
            raise Enough;
         end if;
         return Sign * (X - Y);
      end Compare;
   begin
      Qsort
        (Items'Address, Items'Length, int'Size / System.Storage_Unit,
         Compare'Access);
      if Calls = 0 then
         raise Failure with "not called";
      end if;
   end Sort;

   procedure Check_Sort is
      Items : Numbers := [2, 3, 1, 5, 4];
   begin
      Sort (Items, -1);
      if Items /= [5, 4, 3, 2, 1] then
         raise Failure with "descending";
      end if;
      Sort (Items, 1);
      if Items /= [1, 2, 3, 4, 5] then
         raise Failure with "ascending";
      end if;
   end Check_Sort;

   --  The deepest calls the function of each depth.
   function Sum_Of_Depths
     (Depth : Integer;
      Above : access function (X : Integer) return Integer := null) return Integer
   is
      function Add (X : Integer) return Integer is
        (if Above = null then X + Depth else Apply (Above, X + Depth));
   begin
      return (if Depth = 0 then Apply (Add'Access, 0)
              else Sum_Of_Depths (Depth - 1, Add'Access));
   end Sum_Of_Depths;

   procedure Check_Exceptions is
      Items : Numbers := [2, 3, 1, 5, 4];
   begin
      for I in 1 .. 1000 loop
         begin
            Sort (Items, 1, Stop => 1 + I mod 3);
            raise Failure with "no exception";
         exception
            when Enough => null;
         end;
         Check_Sort;
      end loop;
   end Check_Exceptions;

   procedure Check_All is
   begin
      Check_Sort;
      if Sum_Of_Depths (300) /= 300 * 301 / 2 then
         raise Failure with "recursion";
      end if;
      Check_Exceptions;
   end Check_All;

   Failures : Natural := 0 with Atomic;

   task type Worker;

   task body Worker is
   begin
      Check_All;
   exception
      when others => Failures := Failures + 1;
   end Worker;

begin
   Check_All;
   declare
      Workers : array (1 .. 4) of Worker;
      pragma Unreferenced (Workers);
   begin
      null;
   end;
   if Failures /= 0 then
      raise Failure with "tasks";
   end if;
   Ada.Text_IO.Put_Line ("called back");
end Sorting;
